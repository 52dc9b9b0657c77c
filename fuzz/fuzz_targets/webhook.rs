//! The body of a webhook.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| farmlokal_api::properties::event(body));
