// Package doctor looks at a home directory and at what runs from it, and says
// what is well, what is not, and what to do. It changes nothing, except that it
// writes and removes a small file to time the disk.
package doctor
