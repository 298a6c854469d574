//! Configuration: a TOML file, then `CCMS__…` variables, then flags. Every key has a safe default; an unknown key is an
//! error, so that a misspelt one does not pass for set. The keys are in `sections`; here they are read, checked and made
//! into what the service takes.
use std::path::PathBuf;

use anyhow::{Context, bail};
use ccms_core::schedule::Schedule;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::clock::Clock;
use ccms_service::settings::{self, EnrolmentMode, ServiceArea, Settings};

use crate::cli::ConfigArgs;

mod sections;

pub use sections::*;

impl Config {
    pub fn load(args: &ConfigArgs) -> anyhow::Result<Self> {
        let mut builder = config::Config::builder();
        if let Some(file) = &args.config {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
        }
        let environment =
            config::Environment::with_prefix("CCMS").prefix_separator("__").separator("__").try_parsing(true);
        let environment = environment.list_separator(",").with_list_parse_key("enrolment.signature_required_models");
        builder = builder.add_source(environment);
        let mut config: Self =
            builder.build().and_then(config::Config::try_deserialize).context("the configuration cannot be read")?;
        if let Some(listen) = args.listen {
            config.listen = listen;
        }
        if let Some(url) = &args.database {
            config.database.url = Some(url.clone());
        }
        if let Some(dir) = &args.data_dir {
            config.data_dir = dir.clone();
        }
        if let Some(mode) = &args.enrolment {
            config.enrolment.mode = crate::cli::enrolment_mode(mode);
        }
        config.check()?;
        Ok(config)
    }

    /// Refuses what would be unsafe or cannot work.
    fn check(&self) -> anyhow::Result<()> {
        if self.mqtt.enabled {
            bail!("mqtt.enabled = true: this version has no MQTT; devices reach it over HTTP");
        }
        let reachable = !self.listen.ip().is_loopback();
        if reachable && self.tls.is_none() && self.trusted_proxy.is_none() {
            bail!(
                "listen = {} can be reached from outside over plain HTTP. Name a certificate with tls.certificate_file and \
                 tls.key_file, or put a proxy that ends TLS in front and name it with trusted_proxy, or listen on 127.0.0.1",
                self.listen
            );
        }
        if reachable && self.enrolment.mode == EnrolmentMode::Open && !self.enrolment.open_off_loopback {
            bail!(
                "open enrolment lets any device in; on {} it needs enrolment.open_off_loopback = true as well",
                self.listen
            );
        }
        if self.enrolment.service_area.as_deref().is_some_and(|text| ServiceArea::parse(text).is_none()) {
            bail!("enrolment.service_area is south,west,north,east in degrees, south below north");
        }
        if self.enrolment.silence_days == Some(0) {
            bail!("enrolment.silence_days is at least 1");
        }
        if self.schedule.sunrise_time.is_some() != self.schedule.sunset_time.is_some() {
            bail!("schedule.sunrise_time and schedule.sunset_time are set together or not at all");
        }
        if self.schedule.brightness_level > 100 {
            bail!("schedule.brightness_level is 0 to 100 percent");
        }
        if !matches!(self.log.format.as_str(), "text" | "json") {
            bail!("log.format is text or json");
        }
        if let Some(url) = &self.database.url
            && !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme))
        {
            bail!("database.url begins with sqlite:// or postgres://");
        }
        if self.limits.connections == 0 || self.limits.intake_queue_requests == 0 {
            bail!("limits.connections and limits.intake_queue_requests are at least 1");
        }
        let rates = [self.limits.device_per_second, self.limits.fleet_per_device_per_second];
        if rates.iter().any(|rate| !rate.is_finite() || *rate <= 0.0) || self.limits.device_burst == 0 {
            bail!(
                "limits.device_per_second, limits.device_burst and limits.fleet_per_device_per_second are above zero; a \
                 device that keeps to its contract needs 2, 20 and 0.3"
            );
        }
        let (archive, delete) = (self.storage.archive_after_days, self.storage.delete_archive_after_days);
        if delete > 0 && delete <= archive {
            bail!(
                "storage.delete_archive_after_days = {delete} would delete what storage.archive_after_days = {archive} has not \
                 archived yet; it is the greater of the two, or 0 to keep everything"
            );
        }
        if let Some(url) = &self.storage.archive_url
            && !["file:///", "s3://"].iter().any(|scheme| url.starts_with(scheme))
        {
            bail!("storage.archive_url begins with file:/// or s3://");
        }
        Ok(())
    }

    /// Browsers reach us over TLS, ours or a proxy's.
    pub fn is_behind_tls(&self) -> bool {
        self.tls.is_some() || self.trusted_proxy.is_some()
    }

    pub fn database_url(&self) -> String {
        self.database.url.clone().unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("ccms.db").display()))
    }

    pub fn master_key_file(&self) -> PathBuf {
        self.keys.master_key_file.clone().unwrap_or_else(|| self.data_dir.join("master.key"))
    }

    /// The keys that sign device tokens.
    pub fn token_keys_file(&self) -> PathBuf {
        self.data_dir.join("token-keys")
    }

    /// Where the files of archived days are.
    ///
    /// # Errors
    /// It cannot be reached, or made.
    pub fn shelf(&self) -> anyhow::Result<Shelf> {
        let shelf = match &self.storage.archive_url {
            Some(url) => Shelf::open(url),
            None => Shelf::folder(&self.data_dir.join("archive")),
        };
        shelf.context("opening the archive")
    }

    pub fn clock(&self) -> Clock {
        Clock::system(self.clock.offset_seconds)
    }

    pub fn settings(&self) -> Settings {
        let fixed = self.schedule.sunrise_time.zip(self.schedule.sunset_time);
        let defaults = Settings::default();
        Settings {
            enrolment: self.enrolment.mode,
            service_area: self.enrolment.service_area.as_deref().and_then(ServiceArea::parse),
            signature_required_models: self.enrolment.signature_required_models.clone(),
            silence_s: self.enrolment.silence_days.map_or(defaults.silence_s, |days| i64::from(days) * 86_400),
            city: settings::City { name: self.city.name.clone(), timezone: self.city.timezone.clone() },
            map: settings::Map {
                tile_url: self.map.tile_url.clone(),
                attribution: self.map.attribution.clone().or_else(|| {
                    let folder = self.map.geojson_dir.as_deref();
                    crate::basemap::attribution(folder)
                }),
                geojson_layers: crate::basemap::layers(self.map.geojson_dir.as_deref()),
            },
            intake: settings::Intake { queue_requests_max: self.limits.intake_queue_requests, ..defaults.intake },
            limits: settings::Limits {
                device_per_second: self.limits.device_per_second,
                device_burst: self.limits.device_burst,
                fleet_per_device_per_second: self.limits.fleet_per_device_per_second,
            },
            storage: settings::Storage {
                archive_after_days: self.storage.archive_after_days,
                delete_archive_after_days: self.storage.delete_archive_after_days,
                temporary: Some(self.data_dir.clone()),
                ..defaults.storage
            },
            fixed_schedule: fixed.map(|(sunrise_time, sunset_time)| Schedule {
                enabled: true,
                sunrise_time,
                sunset_time,
            }),
            brightness_percent: self.schedule.brightness_level,
            ..defaults
        }
    }

    /// The configuration for people, with the database's password left out.
    pub fn redacted(&self) -> String {
        let mut shown = self.clone();
        shown.database.url = Some(redact_url(&self.database_url()));
        format!("{shown:#?}")
    }
}

/// `postgres://user:secret@host/db` without the secret.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.split_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_listener_stays_on_loopback() {
        let mut config = Config::default();
        assert!(config.check().is_ok());
        config.listen = "0.0.0.0:8000".parse().unwrap();
        assert!(config.check().is_err());
        config.tls = Some(Tls { certificate_file: "cert.pem".into(), key_file: "key.pem".into() });
        assert!(config.check().is_ok());
        config.tls = None;
        config.trusted_proxy = Some("10.0.0.1".parse().unwrap());
        assert!(config.check().is_ok());
        config.enrolment.mode = EnrolmentMode::Open;
        assert!(config.check().is_err());
        config.enrolment.open_off_loopback = true;
        assert!(config.check().is_ok());
    }

    #[test]
    fn nothing_is_deleted_before_it_is_archived() {
        let mut config = Config::default();
        for (archive, delete, good) in [(30, 0, true), (30, 30, false), (30, 31, true), (0, 1, true), (5, 3, false)] {
            (config.storage.archive_after_days, config.storage.delete_archive_after_days) = (archive, delete);
            assert_eq!(config.check().is_ok(), good, "{archive} {delete}");
        }
        config.storage = Storage { archive_url: Some("archive".into()), ..Storage::default() };
        assert!(config.check().is_err());
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(redact_url("postgres://ccms:secret@db/ccms"), "postgres://ccms:…@db/ccms");
        assert_eq!(redact_url("sqlite://data/ccms.db"), "sqlite://data/ccms.db");
    }
}
