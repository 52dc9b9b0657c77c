//! PEM files, as clap's `value_parser`. They are read at the start, so that a wrong one is an error then and not an outage later;
//! a changed one needs a restart.

use std::fs;

use anyhow::{Context as _, bail};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};

/// Several times what all public CAs take.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a file with one certificate or more, as clap's `value_parser`.
///
/// # Errors
/// What is wrong with the file.
pub fn certificates(path: &str) -> Result<SecretString, String> {
    let is_pem = |text: &[u8]| {
        let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        // What can be parsed is added, not only CAs.
        !found.is_empty() && RootCertStore::empty().add_parsable_certificates(found).1 == 0
    };
    read(path, is_pem, "certificates: -----BEGIN CERTIFICATE-----")
}

/// The text of a file with a private key.
pub(crate) fn private_key(path: &str) -> Result<SecretString, String> {
    let is_pem = |text: &[u8]| PrivateKeyDer::from_pem_slice(text).is_ok();
    read(path, is_pem, "a private key that is not encrypted: -----BEGIN PRIVATE KEY-----")
}

fn read(path: &str, is_pem: impl Fn(&[u8]) -> bool, what: &str) -> Result<SecretString, String> {
    let file = fs::metadata(path).map_err(|error| error.to_string())?;
    // Others may never end.
    if !file.is_file() || file.len() > MAX_BYTES {
        return Err("must be a regular file of at most 1 MiB".into());
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    // Comments may be in any encoding.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if is_pem(text.as_bytes()) { Ok(text.into()) } else { Err(format!("no PEM file with {what}")) }
}

/// The texts of a certificate and its private key, from settings whose names begin with `prefix`.
///
/// # Errors
/// One without the other, or the key of another certificate.
pub(crate) fn identity<'a>(
    prefix: &str,
    files: [&'a Option<SecretString>; 2],
) -> anyhow::Result<Option<[&'a str; 2]>> {
    let pair = match files {
        [Some(certificate), Some(key)] => [certificate, key].map(ExposeSecret::expose_secret),
        [None, None] => return Ok(None),
        _ => bail!("{prefix}_CERT and {prefix}_KEY need each other"),
    };
    let [certificate, key] = pair.map(str::as_bytes);
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>()?;
    CertifiedKey::from_der(chain, PrivateKeyDer::from_pem_slice(key)?, &ring::default_provider())
        .with_context(|| format!("{prefix}_KEY is not the key of {prefix}_CERT"))?;
    Ok(Some(pair))
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
        let pem = |what: &str| format!("-----BEGIN {what}-----\naHVudGVyMg==\n-----END {what}-----\n");
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
        let encrypted = file("encrypted", pem("ENCRYPTED PRIVATE KEY").as_bytes());
        let garbage = file("garbage", (pem("CERTIFICATE") + &pem("PRIVATE KEY")).as_bytes());
        let long = file("long", &vec![b'#'; 1_048_577]);
        let fifo = directory.path().join("fifo").display().to_string();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for prefix in ["--db-tls", "--redis-tls"] {
            for (what, bad, reason) in [
                ("ca", "/nowhere/ca.pem", "No such file"),
                ("ca", &text, "-----BEGIN CERTIFICATE-----"),
                ("ca", key, "-----BEGIN CERTIFICATE-----"),
                ("ca", &garbage, "-----BEGIN CERTIFICATE-----"),
                ("ca", &fifo, "regular file"),
                ("ca", &long, "at most 1 MiB"),
                ("cert", &der, "no PEM file"),
                ("cert", &garbage, "no PEM file"),
                ("cert", "/dev/zero", "regular file"),
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
            for (given, path) in [("cert", cert), ("key", key)] {
                let Cli { database, redis } = parse_flags(&[&format!("{prefix}-{given}"), path]).unwrap();
                let error = database.options().err().or(redis.config().err()).unwrap().to_string();
                let names = ["_CERT", "_KEY"].map(|end| prefix[2..].replace('-', "_").to_uppercase() + end);
                assert_eq!(error, format!("{} and {} need each other", names[0], names[1]));
            }
            let pair = [format!("{prefix}-cert"), cert.to_owned(), format!("{prefix}-key"), key.to_owned()];
            let cli = parse_flags::<Cli>(&pair.each_ref().map(String::as_str)).unwrap();
            assert!(!format!("{cli:?}").contains("BEGIN"), "a private key is in Debug's output");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
        let (cert, key) = (authority.client().cert, other.client().key);
        // A comment in Latin-1 is no part of it.
        std::fs::write(&cert, [b"# caf\xe9\n", std::fs::read(&cert).unwrap().as_slice()].concat()).unwrap();
        let parse = |flags: &[&str]| parse_flags::<Cli>(flags).unwrap();
        for garbage in [false, true] {
            if garbage {
                std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
                    .unwrap();
            }
            let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
            let database = parse(&["--db-tls-cert", cert, "--db-tls-key", key]).database.options();
            let redis = parse(&["--redis-tls-cert", cert, "--redis-tls-key", key]).redis.config();
            for (error, prefix) in [(database.unwrap_err(), "DB_TLS"), (redis.unwrap_err(), "REDIS_TLS")] {
                assert_eq!(error.to_string(), format!("{prefix}_KEY is not the key of {prefix}_CERT"));
            }
        }
    }
}
