// Package cliout is how commands speak: tables and stable JSON on standard
// output, messages on standard error, errors that carry an exit code and the
// next command to try. It does not parse flags.
package cliout
