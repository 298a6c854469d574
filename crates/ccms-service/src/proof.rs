//! What a device can show for being the one it says it is.
//!
//! On the routes that take a token, a signature adds that the body is as the device sent it; it never stands for the token.
//! Models that have to sign may not leave it out. On configure, whose sender may have lost everything, any one of these
//! proves a claimed device: its token, also one that is over but not older than the time after which a device counts as
//! silent; its signature with the secret of its present epoch; its signature with the key from its factory. A signature
//! that is there and wrong takes nothing from the token beside it, or a damaged secret could never be replaced; but then
//! nothing that the body says is kept.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::DeviceRecord;

use crate::ccms::Ccms;
use crate::identity::DeviceIdentity;
use crate::keys::{Issued, signature};
use crate::live::KeptDevice;
use crate::refusal::Refusal;

/// What came with a configure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// `X-Device-Signature`; an unreadable one is an empty one.
    pub signature: Option<&'a str>,
    /// The body as it was sent, before any unpacking.
    pub raw: &'a [u8],
}

/// What a token says of the device it was issued to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// A newer one was used since; this one is somebody's copy, or a device went back to an old state of its memory.
    Superseded,
    /// Of another epoch, or older than a device may be silent.
    Void,
}

/// What the signature of a configure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Not,
    ByDevice,
    ByFactory,
    Wrongly,
}

/// What of a device decides how its tokens stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust {
    epoch: u32,
    token_used_gen: i64,
}

impl From<&DeviceRecord> for Trust {
    fn from(device: &DeviceRecord) -> Self {
        Self { epoch: device.epoch, token_used_gen: device.token_used_gen }
    }
}

impl From<&KeptDevice> for Trust {
    fn from(device: &KeptDevice) -> Self {
        Self { epoch: device.epoch, token_used_gen: device.token_used_gen }
    }
}

impl Ccms {
    /// Checks `X-Device-Signature` over a body as it was sent, on a route that takes a token.
    ///
    /// # Errors
    /// 401 when it is wrong, or missing although devices of this model have to sign. Configure cures both.
    pub fn check_signature(&self, who: &DeviceIdentity, header: Option<&str>, raw: &[u8]) -> Result<(), Refusal> {
        let Some(header) = header else {
            // A request without a body has nothing to sign.
            if raw.is_empty() || !self.must_sign(who) {
                return Ok(());
            }
            let message = "Devices of this model sign their bodies with X-Device-Signature";
            return Err(self.refuse_known(who.no, Refusal::new(ErrorCode::SignatureRequired, message)));
        };
        let secret = self.keys().device_secret(&who.id, who.epoch);
        if signature::is_valid(header, secret.as_bytes(), raw) {
            return Ok(());
        }
        let message = "X-Device-Signature does not fit this body; configure again for a fresh device_secret";
        Err(self.refuse_known(who.no, Refusal::new(ErrorCode::BadSignature, message)))
    }

    fn must_sign(&self, who: &DeviceIdentity) -> bool {
        let models = &self.settings().signature_required_models;
        if models.is_empty() {
            return false;
        }
        let live = self.live().read();
        let model = live.device(who.no).and_then(|d| d.record.device_type());
        model.is_some_and(|model| models.iter().any(|m| m.eq_ignore_ascii_case(&model)))
    }

    pub(crate) fn signed(&self, id: &DeviceId, epoch: u32, evidence: &Evidence<'_>) -> Signed {
        let Some(header) = evidence.signature else { return Signed::Not };
        let factory = self.keys().factory().map(|group| group.of_device(id));
        if signature::is_valid(header, self.keys().device_secret(id, epoch).as_bytes(), evidence.raw) {
            Signed::ByDevice
        } else if factory.is_some_and(|key| signature::is_valid(header, &key, evidence.raw)) {
            Signed::ByFactory
        } else {
            Signed::Wrongly
        }
    }

    /// How a token stands with the device it names, apart from its seven days.
    pub(crate) fn standing(&self, device: impl Into<Trust>, token: Issued, now: UtcMillis) -> Standing {
        let device = device.into();
        let age_s = self.elapsed_ms(UtcMillis::from_seconds(token.at_s), now).div_euclid(1000);
        if token.epoch != device.epoch || age_s > self.settings().silence_s {
            Standing::Void
        } else if token.generation < device.token_used_gen {
            Standing::Superseded
        } else {
            Standing::Good
        }
    }
}
