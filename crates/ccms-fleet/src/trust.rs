//! Which server a device believes over TLS.
//!
//! A pinned key is stronger than a certificate around it: it names the one key that the server has to prove it holds. Nothing
//! else of the certificate is looked at then, not its dates either: a controller that does not know the time, or knows it
//! wrong, must not lock itself out. With an authority beside the pin both have to agree, dates included.
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

/// SHA-256 of a SubjectPublicKeyInfo, written `sha256/` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// That of the key in this certificate.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        Ok(Self(Sha256::digest(key.as_ref()).into()))
    }
}

impl FromStr for Pin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a pin is sha256/ and 44 characters of base64";
        let bytes = STANDARD.decode(text.strip_prefix("sha256/").ok_or(FORM)?).map_err(|_| FORM)?;
        bytes.try_into().map(Self).map_err(|_| FORM)
    }
}

/// Pins, authorities, or both.
#[derive(Debug, Clone)]
pub struct Trust {
    pins: Vec<Pin>,
    roots: Option<Arc<RootCertStore>>,
}

impl Trust {
    /// `None` when neither is given: then the system decides.
    ///
    /// # Errors
    /// When the file of authorities cannot be read, or has none.
    pub fn new(pins: Vec<Pin>, authorities: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let roots = authorities.map(roots).transpose()?.map(Arc::new);
        Ok((!pins.is_empty() || roots.is_some()).then_some(Self { pins, roots }))
    }

    pub(crate) fn client_config(&self) -> anyhow::Result<ClientConfig> {
        let Some(provider) = CryptoProvider::get_default().cloned() else { bail!("no TLS provider is installed") };
        let by_authority = match &self.roots {
            Some(roots) => {
                let roots = Arc::clone(roots);
                Some(WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?)
            }
            None => None,
        };
        let verifier = Verifier { pins: self.pins.clone(), by_authority, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }
}

fn roots(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(|| format!("reading {}", path.display()))? {
        roots.add(certificate?).with_context(|| format!("{}: no authority", path.display()))?;
    }
    anyhow::ensure!(!roots.is_empty(), "{} holds no certificate", path.display());
    Ok(roots)
}

#[derive(Debug)]
struct Verifier {
    pins: Vec<Pin>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authority) = &self.by_authority {
            authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        if self.pins.is_empty() || self.pins.contains(&Pin::of(end_entity)?) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    // That the server holds the key is proven here, for pins as for authorities.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_digest_in_base64() {
        let good = format!("sha256/{}", STANDARD.encode([7; 32]));
        assert_eq!(good.parse::<Pin>().unwrap(), Pin([7; 32]));
        for bad in ["", "sha256/", "sha1/AAAA", &good[7..], &good[..good.len() - 4], &format!("{good}AAAA")] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn without_pins_and_authorities_the_system_decides() {
        assert!(Trust::new(Vec::new(), None).unwrap().is_none());
        assert!(Trust::new(vec![Pin([7; 32])], None).unwrap().is_some());
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(Trust::new(Vec::new(), Some(empty.path())).is_err());
    }
}
