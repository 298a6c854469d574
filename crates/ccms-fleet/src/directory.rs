//! A pole behind a directory of files, one for each quantity, as drivers, a script or a person write them. A Raspberry Pi with
//! a relay is a street light with it.
//!
//! | file | holds |
//! | --- | --- |
//! | `temperature_celsius`, `battery_percentage` | a number |
//! | `gsm_signal_strength` | percent, or dBm below zero |
//! | `voltage_volts`, `current_amperes`, `power_watts`, `frequency_hertz` | a number |
//! | `energy_kwh` | the meter's counter |
//! | `error_flags` | names, separated by blanks, commas or lines |
//! | `critical` | `1` while the controller itself is failing |
//! | `out/relay` | written: `on` or `off` |
//! | `out/dimming_percent` | written: 0 to 100 |
//! | `out/led`, `out/display` | written: `green`, `yellow`, `red` or `off`, and a line of text |
//!
//! What has no file is not fitted, and is left out of the reports. What cannot be read, or is no number that the quantity can
//! have, is left out too, and its flag says so: `temperature_celsius_unreadable`. Files are best replaced whole (write beside,
//! rename); those in `out` are.
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ccms_core::limits::{ERROR_FLAG_CHARS_MAX, ERROR_FLAGS_MAX};
use ccms_core::time::UtcMillis;
use ccms_device::{Absent, Display, Lamp, Led, Quantity, Sensors};

use crate::physics::radio;
use crate::pole::Pole;

/// Files are looked at this often.
const LOOK_EVERY_MS: u64 = 1_000;
/// Longer files hold no number and no flags.
const FILE_BYTES_MAX: u64 = 4 * 1024;

#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    outputs: Outputs,
}

/// What a quantity is called, and the numbers that it can have.
const QUANTITIES: [(Quantity, &str, f64, f64); 8] = [
    (Quantity::Temperature, "temperature_celsius", -90.0, 200.0),
    (Quantity::Battery, "battery_percentage", 0.0, 100.0),
    (Quantity::Signal, "gsm_signal_strength", -140.0, 100.0),
    (Quantity::Voltage, "voltage_volts", 0.0, 6_500.0),
    (Quantity::Current, "current_amperes", 0.0, 4_000_000.0),
    (Quantity::Power, "power_watts", 0.0, 400_000_000.0),
    (Quantity::Frequency, "frequency_hertz", 0.0, 650.0),
    (Quantity::Energy, "energy_kwh", 0.0, 1e12),
];

impl Directory {
    /// # Errors
    /// When it is no directory, or nothing can be written into its `out`.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(path.is_dir(), "{} is no directory", path.display());
        Ok(Self { path: path.to_owned(), outputs: Outputs::within(path)? })
    }

    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Reads every file. What is wrong with one costs that one only.
    pub fn read(&self) -> Sensors {
        let mut sensors = Sensors::default();
        let mut absent = Absent::default();
        for (quantity, name, least, most) in QUANTITIES {
            match self.text(name).map(|text| text.trim().parse::<f64>().ok().filter(|n| (least..=most).contains(n))) {
                Reading::Is(Some(number)) => take(&mut sensors, quantity, number),
                Reading::NotFitted => absent = absent.and(quantity),
                Reading::Is(None) | Reading::Unreadable => {
                    absent = absent.and(quantity);
                    sensors.error_flags.push(format!("{name}_unreadable"));
                }
            }
        }
        if let Reading::Is(text) = self.text("error_flags") {
            sensors.error_flags.extend(flags(&text));
        }
        sensors.error_flags.truncate(ERROR_FLAGS_MAX);
        sensors.critical = matches!(self.text("critical"), Reading::Is(text) if text.trim() == "1");
        sensors.absent = absent;
        sensors
    }

    fn text(&self, name: &str) -> Reading<String> {
        match read_short(&self.path.join(name)) {
            Ok(text) => Reading::Is(text),
            Err(error) if error.kind() == ErrorKind::NotFound => Reading::NotFitted,
            Err(_) => Reading::Unreadable,
        }
    }
}

enum Reading<T> {
    Is(T),
    NotFitted,
    Unreadable,
}

impl<T> Reading<T> {
    fn map<U>(self, read: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Is(value) => Reading::Is(read(value)),
            Self::NotFitted => Reading::NotFitted,
            Self::Unreadable => Reading::Unreadable,
        }
    }
}

/// A file that is one: a pipe would make the controller wait.
fn read_short(path: &Path) -> std::io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The number is one that fits.
fn take(sensors: &mut Sensors, quantity: Quantity, number: f64) {
    let scaled = |factor: f64| (number * factor).round();
    match quantity {
        Quantity::Temperature => sensors.temperature_dc = scaled(10.0) as i16,
        Quantity::Battery => sensors.battery_percent = scaled(1.0) as u8,
        Quantity::Signal if number < 0.0 => sensors.signal_percent = radio::percent(number),
        Quantity::Signal => sensors.signal_percent = scaled(1.0) as u8,
        Quantity::Voltage => sensors.voltage_dv = scaled(10.0) as u16,
        Quantity::Current => sensors.current_ma = scaled(1_000.0) as u32,
        Quantity::Power => sensors.power_dw = scaled(10.0) as u32,
        Quantity::Frequency => sensors.frequency_chz = scaled(100.0) as u16,
        Quantity::Energy => sensors.energy_wh = scaled(1_000.0) as i64,
    }
}

fn flags(text: &str) -> impl Iterator<Item = String> {
    let names = text.split(|c: char| c.is_whitespace() || c == ',').filter(|name| !name.is_empty());
    names.map(|name| name.chars().take(ERROR_FLAG_CHARS_MAX).collect())
}

impl Pole for Directory {
    fn measure(&mut self, _steady_ms: u64, _utc: UtcMillis) -> Sensors {
        self.read()
    }

    fn actuate(&mut self, _steady_ms: u64, lamp: Lamp) {
        self.outputs.switch(lamp);
    }

    fn look_every_ms(&self) -> Option<u64> {
        Some(LOOK_EVERY_MS)
    }
}

/// The files that the controller writes. A reader sees the old text or the new one.
#[derive(Debug, Clone)]
pub struct Outputs {
    path: PathBuf,
}

impl Outputs {
    fn within(path: &Path) -> anyhow::Result<Self> {
        let path = path.join("out");
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        let outputs = Self { path };
        // Rather now than with the first sunset.
        outputs.write("led", "off").with_context(|| format!("writing into {}", outputs.path.display()))?;
        Ok(outputs)
    }

    /// The dimmer first when it gets brighter is not ours to know: both are written, the relay last.
    pub fn switch(&self, lamp: Lamp) {
        self.set("dimming_percent", &lamp.brightness_percent.to_string());
        self.set("relay", lamp.power.as_str());
    }

    pub fn show(&self, display: &Display) {
        let led = match display.led {
            Led::Green => "green",
            Led::Yellow => "yellow",
            Led::Red => "red",
            Led::Off => "off",
        };
        self.set("led", led);
        self.set("display", &display.text);
    }

    /// A card that is full must not end the controller: the lamp burns as it did.
    fn set(&self, name: &str, text: &str) {
        if let Err(error) = self.write(name, text) {
            eprintln!("{}: {error}", self.path.join(name).display());
        }
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let beside = self.path.join(format!(".{name}.new"));
        fs::write(&beside, format!("{text}\n"))?;
        fs::rename(&beside, self.path.join(name))
    }
}

#[cfg(test)]
mod tests;
