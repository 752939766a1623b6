// Package catalog is the ordered metadata of the S3 door in one bbolt file:
// buckets, objects, multipart uploads, and the blobs that hold the objects'
// bytes with their reference counts and places. Changes are transactions that
// share commits, so many small ones at the same time cost few fsyncs.
//
// It stores no bytes of objects larger than the inline limit and does no input
// or output besides its own file: whoever moves a blob's bytes tells it.
package catalog
