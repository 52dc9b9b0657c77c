//! PEM files, as clap's `value_parser`. They are read at the start, so that a wrong one is an error then and not an outage later;
//! a changed one needs a restart.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

/// The text of a file with one certificate or more.
pub(crate) fn certificates(path: &str) -> Result<SecretString, String> {
    let is_pem = |text: &[u8]| {
        let mut found = CertificateDer::pem_slice_iter(text).peekable();
        found.peek().is_some() && found.all(|certificate| certificate.is_ok())
    };
    read(path, is_pem, "certificates: -----BEGIN CERTIFICATE-----")
}

/// The text of a file with a private key.
pub(crate) fn private_key(path: &str) -> Result<SecretString, String> {
    let is_pem = |text: &[u8]| PrivateKeyDer::from_pem_slice(text).is_ok();
    read(path, is_pem, "a private key that is not encrypted: -----BEGIN PRIVATE KEY-----")
}

fn read(path: &str, is_pem: impl Fn(&[u8]) -> bool, what: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if is_pem(text.as_bytes()) { Ok(text.into()) } else { Err(format!("no PEM file with {what}")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use farmlokal_devstack::Authority;

    use crate::tests::parse_flags;
    use crate::{DatabaseArgs, RedisArgs};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        redis: RedisArgs,
    }

    /// The line names the setting and the path.
    #[test]
    fn a_file_that_is_missing_or_no_pem_is_refused() {
        let authority = Authority::create().unwrap();
        let files = authority.client();
        let [cert, key] = [&files.cert, &files.key].map(|path| path.to_str().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, contents: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, contents).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (text, der) = (file("text", b"hunter2"), file("der", &[0x30, 0x82, 0xff]));
        let encrypted = file(
            "encrypted",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2A\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        for prefix in ["--db-tls", "--redis-tls"] {
            for (what, bad, reason) in [
                ("ca", "/nowhere/ca.pem", "No such file"),
                ("ca", &text, "-----BEGIN CERTIFICATE-----"),
                ("ca", key, "-----BEGIN CERTIFICATE-----"),
                ("cert", &der, "UTF-8"),
                ("cert", "/nowhere/cert.pem", "No such file"),
                ("key", "/nowhere/key.pem", "No such file"),
                ("key", cert, "-----BEGIN PRIVATE KEY-----"),
                ("key", &encrypted, "not encrypted"),
            ] {
                let flag = format!("{prefix}-{what}");
                let error = parse_flags::<Cli>(&[&flag, bad]).unwrap_err();
                assert!([&flag, bad, reason].iter().all(|part| error.contains(part)), "{error}");
                assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
            }
            for (given, path, missing) in [("cert", cert, "key"), ("key", key, "cert")] {
                let error = parse_flags::<Cli>(&[&format!("{prefix}-{given}"), path]).unwrap_err();
                assert!(error.contains(&format!("{prefix}-{missing} <FILE>")), "{error}");
            }
            let pair = [format!("{prefix}-cert"), cert.to_owned(), format!("{prefix}-key"), key.to_owned()];
            let cli = parse_flags::<Cli>(&pair.each_ref().map(String::as_str)).unwrap();
            assert!(!format!("{cli:?}").contains("BEGIN"), "a private key is in Debug's output");
        }
    }
}
