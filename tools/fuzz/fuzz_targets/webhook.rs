//! The body of a webhook, and the headers of its signature.
#![no_main]

use farmlokal_api::properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    properties::event(bytes);
    properties::signature(bytes);
});
