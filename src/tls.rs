//! TLS: the certificate of the configuration, read again whenever its files change, and the greeting of a new connection.
//!
//! A broken new certificate changes nothing but the log: the one in use stays until a good one is there. Whoever speaks
//! plain HTTP to this port is told so in the contract's envelope.
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use metrics::counter;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Distance between looks at the files.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Time for a handshake, three round trips over a slow radio included.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection.
const HANDSHAKE_RECORD: u8 = 0x16;
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// How a new connection began.
pub(crate) enum Greeting {
    Http1(TlsStream<TcpStream>),
    Http2(TlsStream<TcpStream>),
    /// Something that is no TLS.
    Plain(TcpStream),
    Failed,
}

impl Tls {
    /// Reads certificate chain and key, both PEM.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn load(certificate_file: &Path, key_file: &Path) -> anyhow::Result<Self> {
        let files = Files { certificate: certificate_file.to_owned(), key: key_file.to_owned() };
        let last = Mutex::new(files.stamp());
        let certificate = Arc::new(Certificate { current: RwLock::new(Arc::new(files.read()?)), files, last });
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .context("the TLS library knows no protocol version")?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        // A device that comes back does not have to fetch the whole chain again over its radio.
        config.ticketer = Ticketer::new().context("making keys for TLS tickets")?;
        config.send_tls13_tickets = 1;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    /// Follows the files until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCH_EVERY) => {}
            }
            let tls = self.clone();
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// Takes over what the files say, if they changed since the last look. Blocks while it reads them.
    pub fn look(&self) -> Look {
        self.certificate.look()
    }

    pub(crate) async fn greet(&self, socket: TcpStream) -> Greeting {
        let handshake = async {
            let mut first = [0];
            match (socket.peek(&mut first).await?, first) {
                (0, _) => return Ok(Greeting::Failed),
                (_, [HANDSHAKE_RECORD]) => {}
                _ => return Ok(Greeting::Plain(socket)),
            }
            let stream = self.acceptor.accept(socket).await?;
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
            Ok::<_, std::io::Error>(if is_h2 { Greeting::Http2(stream) } else { Greeting::Http1(stream) })
        };
        let error = match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(greeting)) => return greeting,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        counter!("ccms_tls_handshake_failures_total").increment(1);
        tracing::debug!(error, "a TLS handshake failed");
        Greeting::Failed
    }
}

/// What a look at the files found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Unchanged,
    /// A new certificate is in use.
    Taken,
    /// What is there now cannot be used; the one before stays.
    Broken,
}

/// What is presented to everybody, whatever name they ask for.
struct Certificate {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
    /// How the files looked the last time.
    last: Mutex<Stamp>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(|e| e.into_inner()).clone())
    }
}

impl Certificate {
    fn look(&self) -> Look {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        // The look comes before the reading: a change in between is noticed the next time.
        let stamp = self.files.stamp();
        if stamp == *last {
            return Look::Unchanged;
        }
        *last = stamp;
        let (found, outcome) = match self.files.read() {
            Ok(new) => {
                *self.current.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(new);
                tracing::info!(file = %self.files.certificate.display(), "the new TLS certificate is in use");
                (Look::Taken, "taken")
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the new TLS certificate cannot be used; the one before stays in use");
                (Look::Broken, "broken")
            }
        };
        counter!("ccms_tls_certificate_reloads_total", "outcome" => outcome).increment(1);
        found
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// By what a change is recognised: time and size of both files; `None` for one that cannot be seen.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Files {
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|file| {
            let seen = std::fs::metadata(file).ok()?;
            Some((seen.modified().ok()?, seen.len()))
        })
    }

    fn read(&self) -> anyhow::Result<CertifiedKey> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .with_context(|| format!("reading the TLS certificate {}", self.certificate.display()))?;
        if chain.is_empty() {
            bail!("{} holds no certificate", self.certificate.display());
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("reading the TLS key {}", self.key.display()))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .with_context(|| format!("using {} with {}", self.certificate.display(), self.key.display()))
    }
}
