//! The query of a list.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| farmlokal_catalog::properties::query(text));
