//! Cursors: as they come, and with a checksum that is right.
#![no_main]

use farmlokal_catalog::properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    properties::cursor(bytes);
    properties::sealed_cursor(bytes);
});
