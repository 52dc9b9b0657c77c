//! A private CA, for servers that take nothing but TLS with a client's certificate.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::server::temporary_directory;

/// What one side of a connection has: PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The CA that has signed the other side's certificate.
    pub ca: PathBuf,
    /// The certificate of this side.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A CA and two certificates that it has signed. The files go with this value.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// Makes them: the server's certificate is for `127.0.0.1`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn create() -> Result<Authority> {
        let directory = temporary_directory()?;
        let write = |name: &str, text: String| fs::write(directory.path().join(name), text);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "FarmLokal's tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        write("ca.pem", issuer.pem())?;
        for (side, names) in [("server", vec!["127.0.0.1".to_owned()]), ("client", vec![])] {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, side);
            write(&format!("{side}.pem"), params.signed_by(&key, &issuer)?.pem())?;
            write(&format!("{side}-key.pem"), key.serialize_pem())?;
        }
        Ok(Authority { directory })
    }

    /// What a server needs.
    #[must_use]
    pub fn server(&self) -> TlsFiles {
        self.files("server")
    }

    /// What a client needs.
    #[must_use]
    pub fn client(&self) -> TlsFiles {
        self.files("client")
    }

    fn files(&self, side: &str) -> TlsFiles {
        let file = |name: &str| self.directory.path().join(name);
        TlsFiles {
            ca: file("ca.pem"),
            cert: file(&format!("{side}.pem")),
            key: file(&format!("{side}-key.pem")),
        }
    }
}

impl TlsFiles {
    /// As settings of our programs: `prefix` is `DB_TLS` or `REDIS_TLS`.
    #[must_use]
    pub fn settings(&self, prefix: &str) -> Vec<(String, String)> {
        self.some_settings(prefix, &["CA", "CERT", "KEY"])
    }

    /// Those of these names only.
    #[must_use]
    pub fn some_settings(&self, prefix: &str, names: &[&str]) -> Vec<(String, String)> {
        let all = [("CA", &self.ca), ("CERT", &self.cert), ("KEY", &self.key)];
        let some = all.into_iter().filter(|(name, _)| names.contains(name));
        some.map(|(name, path)| (format!("{prefix}_{name}"), path.display().to_string())).collect()
    }
}
