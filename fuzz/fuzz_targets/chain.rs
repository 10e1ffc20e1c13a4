#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alq_fuzz::chain(bytes));
