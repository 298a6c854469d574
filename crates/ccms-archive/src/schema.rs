//! The columns of a file, and how each is packed. Their order is that in which [`crate::writer`] and [`crate::columns`] go
//! through them; a new one goes to the end and raises [`VERSION`].
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::ArchiveFileError;

pub(crate) const VERSION: &str = "1";

/// Keys of the file's own metadata.
pub(crate) const KEY_VERSION: &str = "ccms.version";
pub(crate) const KEY_DAY: &str = "ccms.day";
pub(crate) const KEY_REVISION: &str = "ccms.revision";
pub(crate) const KEY_READINGS: &str = "ccms.readings";
pub(crate) const KEY_LIGHTS: &str = "ccms.lights";
pub(crate) const KEY_GROUPS: &str = "ccms.groups";

/// `dedupe` tells repeats apart and is absent where it follows from the rest; `error_flags` is a JSON list of texts, absent
/// where there are none; `flags` is what was wrong with the reading, one bit each.
const MESSAGE: &str = "message readings {
  REQUIRED INT64 light_no;
  OPTIONAL BYTE_ARRAY light_id (STRING);
  REQUIRED INT64 device_no;
  OPTIONAL BYTE_ARRAY device_id (STRING);
  REQUIRED INT64 reported_at (TIMESTAMP(MILLIS,true));
  REQUIRED INT64 received_at (TIMESTAMP(MILLIS,true));
  OPTIONAL BYTE_ARRAY power_state (STRING);
  OPTIONAL INT64 brightness_percent;
  OPTIONAL INT64 temperature_c (DECIMAL(7,1));
  OPTIONAL INT64 battery_percent;
  OPTIONAL INT64 signal_percent;
  OPTIONAL INT64 uptime_s;
  OPTIONAL INT64 voltage_v (DECIMAL(7,1));
  OPTIONAL INT64 current_a (DECIMAL(12,3));
  OPTIONAL INT64 power_w (DECIMAL(12,1));
  OPTIONAL INT64 frequency_hz (DECIMAL(7,2));
  OPTIONAL INT64 energy_kwh (DECIMAL(18,3));
  OPTIONAL INT64 seq;
  OPTIONAL INT64 dedupe;
  OPTIONAL BYTE_ARRAY error_flags (STRING);
  REQUIRED INT64 flags;
}";

/// Columns whose values go on from the one before; the others take few values, and a dictionary is smaller.
const GROWING: [&str; 5] = ["reported_at", "received_at", "uptime_s", "energy_kwh", "seq"];
/// One that no two rows share.
const RANDOM: &str = "dedupe";
/// What a page holds at most: a light's day or two, so that few others are unpacked with it.
const PAGE_ROWS: usize = 4_096;
/// Beyond it, the time to write grows and the file hardly shrinks.
const ZSTD_LEVEL: i32 = 3;

pub(crate) fn schema() -> Result<TypePtr, ArchiveFileError> {
    Ok(Arc::new(parse_message_type(MESSAGE)?))
}

pub(crate) fn properties() -> Result<WriterProperties, ArchiveFileError> {
    let (light, time) = (ColumnPath::from("light_no"), ColumnPath::from("reported_at"));
    let by = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
    let mut properties = WriterProperties::builder()
        .set_created_by("ccms".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_dictionary_enabled(true)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(vec![by(0), by(4)]))
        // Every figure is for every group and column: at a hundred thousand lights that is a footer of megabytes.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(light, EnabledStatistics::Page)
        .set_column_statistics_enabled(time, EnabledStatistics::Chunk);
    for name in GROWING {
        let column = ColumnPath::from(name);
        properties = properties.set_column_dictionary_enabled(column.clone(), false);
        properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    properties = properties.set_column_dictionary_enabled(ColumnPath::from(RANDOM), false);
    Ok(properties.build())
}
