//! `coalesce` of tunctl-packet's properties, on bytes that find new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tunctl_fuzz::coalesce(bytes));
