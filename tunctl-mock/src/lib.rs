//! A TUN/TAP driver in memory.
#![forbid(unsafe_code)]
