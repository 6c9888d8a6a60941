//! `helper_request` of the helper's properties, on bytes that find new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tunctl_fuzz::helper_request(bytes));
