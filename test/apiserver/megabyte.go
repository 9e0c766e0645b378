package main

import _ "unsafe" // for go:linkname

// megabyte is lumberjack's own, which is "a variable so tests can mock it out and not need to write megabytes of data
// to disk" (lumberjack.go). So a short test has lumberjack's own rotation by size, not one that something else triggers.
//
//go:linkname megabyte gopkg.in/natefinch/lumberjack%2ev2.megabyte
var megabyte int
