//! A file of devices and lights, CSV or GeoJSON, taken in as a whole. With `dry_run=true` nothing is written and the answer
//! is 200 with every bad row; without it a file with a bad row is refused as a whole with 422, and the same list.
//!
//! CSV as spreadsheets write it: UTF-8 with or without a mark at the beginning, commas or semicolons, cells in quotes, lines
//! ended either way. The first row names the columns, in any order and number; columns that are not known are passed over and
//! listed in the answer.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_service::catalogue::{ImportError, ImportRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Call, json};
use super::columns::{self, NAMES, unguarded};
use super::devices::check_claim_hours;
use super::problem::{Flaw, Problem};

/// Rows of one file; larger cities send several.
pub const ROWS_MAX: usize = 20_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    dry_run: bool,
    claim_hours: Option<u32>,
}

#[derive(Serialize)]
struct Report {
    created: u32,
    updated: u32,
    errors: Vec<Flaw>,
    dry_run: bool,
    ignored_columns: Vec<String>,
}

/// What was read of a file.
#[derive(Default)]
struct File {
    rows: Vec<ImportRow>,
    errors: Vec<ImportError>,
    ignored_columns: Vec<String>,
}

pub async fn lights(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_commission()?;
    let wish: Wish = call.params()?;
    check_claim_hours(wish.claim_hours)?;
    let file = match call.content_type().as_deref() {
        Some("text/csv" | "application/csv" | "text/plain") => read_csv(&call.body)?,
        Some("application/geo+json" | "application/json" | "application/vnd.geo+json") => read_geojson(&call.body)?,
        _ => {
            let detail = "Send text/csv or application/geo+json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    if file.rows.len() + file.errors.len() > ROWS_MAX {
        let detail = format!("The file has more than {ROWS_MAX} rows. Send it in parts.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let report = call.ccms().import_lights(may, &file.rows, file.errors, wish.dry_run, wish.claim_hours).await?;
    let errors: Vec<Flaw> = report.errors.into_iter().map(flaw).collect();
    if !wish.dry_run && !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let (created, updated) = (report.created, report.updated);
    let report = Report { created, updated, errors, dry_run: wish.dry_run, ignored_columns: file.ignored_columns };
    Ok(json(StatusCode::OK, &report))
}

fn flaw(error: ImportError) -> Flaw {
    Flaw { row: Some(error.row), column: Some(error.column), field: None, message: error.message }
}

fn read_csv(bytes: &[u8]) -> Result<File, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |c: u8| head.iter().filter(|b| **b == c).count();
    let delimiter = if count(b';') > count(b',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(bytes);
    let mut file = File::default();
    let mut header: Option<Vec<String>> = None;
    for (index, record) in reader.byte_records().enumerate() {
        let row = index as u32 + 1;
        let record = record.map_err(|e| Problem::malformed(format!("The CSV cannot be read: {e}")))?;
        let Some(columns) = &header else {
            header = Some(columns_of(&record, &mut file)?);
            continue;
        };
        let mut bad = |column: &str, message: String| {
            file.errors.push(ImportError { row, column: column.to_owned(), message });
        };
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        if record.len() > columns.len() {
            bad("", format!("The row has {} cells and the header {}.", record.len(), columns.len()));
            continue;
        }
        let (mut parsed, mut good) = (ImportRow { row, ..ImportRow::default() }, true);
        for (column, cell) in columns.iter().zip(&record) {
            let put = match std::str::from_utf8(cell) {
                Ok(text) => columns::put(&mut parsed, column, unguarded(text.trim_matches(' '))),
                Err(_) => Err("This is not UTF-8.".to_owned()),
            };
            if let Err(message) = put {
                bad(column, message);
                good = false;
            }
        }
        if good {
            file.rows.push(parsed);
        }
    }
    if header.is_none() {
        Err(Problem::malformed("The file is empty; its first row names the columns."))
    } else {
        Ok(file)
    }
}

fn columns_of(record: &csv::ByteRecord, file: &mut File) -> Result<Vec<String>, Problem> {
    let names: Vec<String> =
        record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_ascii_lowercase()).collect();
    file.ignored_columns = names.iter().filter(|n| !NAMES.contains(&n.as_str())).cloned().collect();
    if !names.iter().any(|n| n == "device_id" || n == "light_id") {
        return Err(Problem::malformed("The first row names no column device_id or light_id."));
    }
    if let Some(twice) = names.iter().enumerate().find(|(i, n)| NAMES.contains(&n.as_str()) && names[..*i].contains(n))
    {
        return Err(Problem::malformed(format!("The first row names {} twice.", twice.1)));
    }
    Ok(names)
}

fn read_geojson(bytes: &[u8]) -> Result<File, Problem> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| Problem::malformed(format!("The body is no JSON: {e}")))?;
    let features = match value.get("type").and_then(Value::as_str) {
        Some("FeatureCollection") => value.get("features").and_then(Value::as_array).cloned(),
        Some("Feature") => Some(vec![value]),
        _ => None,
    };
    let features = features
        .ok_or_else(|| Problem::invalid_field("type", "Send a GeoJSON FeatureCollection with an array of features."))?;
    let mut file = File::default();
    for (index, feature) in features.iter().enumerate() {
        let row = index as u32 + 1;
        match feature_row(row, feature) {
            Ok(parsed) => file.rows.push(parsed),
            Err(errors) => file.errors.extend(errors),
        }
    }
    Ok(file)
}

fn feature_row(row: u32, feature: &Value) -> Result<ImportRow, Vec<ImportError>> {
    let error = |column: &str, message: &str| ImportError { row, column: column.into(), message: message.into() };
    let (mut parsed, mut errors) = (ImportRow { row, ..ImportRow::default() }, Vec::new());
    let Some(properties) = feature.get("properties").and_then(Value::as_object) else {
        return Err(vec![error("", "The feature has no properties.")]);
    };
    for (name, value) in properties.iter().filter(|(name, _)| NAMES.contains(&name.as_str())) {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                errors.push(error(name, "A property is a text, a number or null."));
                continue;
            }
        };
        if let Err(message) = columns::put(&mut parsed, name, &text) {
            errors.push(error(name, &message));
        }
    }
    match feature.get("geometry") {
        None | Some(Value::Null) => {}
        Some(geometry) => {
            let at = geometry.get("coordinates").and_then(Value::as_array);
            let degree = |i: usize| at.and_then(|a| a.get(i)).and_then(Value::as_f64);
            match (geometry.get("type").and_then(Value::as_str), degree(0), degree(1)) {
                (Some("Point"), Some(lon), Some(lat)) => (parsed.longitude, parsed.latitude) = (Some(lon), Some(lat)),
                _ => errors.push(error("geometry", "A light is a Point with [longitude, latitude].")),
            }
        }
    }
    if errors.is_empty() { Ok(parsed) } else { Err(errors) }
}
