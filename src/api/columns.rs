//! The columns of a file of lights, in and out, and what happens to its cells.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it. On the way out such a text gets a
//! `'` in front, which spreadsheets read as "this is text"; on the way in it is taken away again. Numbers stay numbers.
use ccms_service::catalogue::ImportRow;
use ccms_store::{DeviceRecord, LightRecord};

pub const NAMES: [&str; 12] = [
    "device_id",
    "light_id",
    "name",
    "latitude",
    "longitude",
    "address",
    "city",
    "zone",
    "ward",
    "feeder",
    "pole",
    "wattage",
];

/// What begins a formula; a tab or a line break may stand before one.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// A text as a spreadsheet may have it.
pub fn guarded(text: &str) -> String {
    if begins_formula(text.trim_start_matches('\'')) { format!("'{text}") } else { text.to_owned() }
}

/// A text as it was before [`guarded`].
pub fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if begins_formula(rest.trim_start_matches('\'')) => rest,
        _ => text,
    }
}

/// The cells of a light in the order of [`NAMES`]: texts, and numbers where there are any.
pub fn cells(light: &LightRecord, device: Option<&DeviceRecord>) -> [Cell; 12] {
    let c = &light.curated;
    let text = |t: &str| Cell::Text(t.to_owned());
    let number = |n: Option<f64>| n.map_or(Cell::Text(String::new()), Cell::Number);
    let placed = (c.latitude, c.longitude) != (0.0, 0.0);
    [
        text(device.map_or("", |d| d.id.as_str())),
        text(light.id.as_str()),
        text(&c.name),
        number(placed.then_some(c.latitude)),
        number(placed.then_some(c.longitude)),
        text(&c.address),
        text(&c.city),
        text(&c.zone),
        text(&c.ward),
        text(&c.feeder),
        text(&c.pole),
        number(c.wattage_w),
    ]
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Number(f64),
}

/// Puts a cell of an import where it belongs. An empty id or place says nothing; an empty text takes away what is known.
pub fn put(row: &mut ImportRow, column: &str, cell: &str) -> Result<(), String> {
    let text = cell.trim();
    let number = || match text.replace(',', ".").parse::<f64>() {
        _ if text.is_empty() => Ok(None),
        Ok(n) if n.is_finite() => Ok(Some(n)),
        _ => Err(format!("{text:?} is no number.")),
    };
    let of_id = |error: ccms_core::ids::InvalidId| error.to_string();
    match column {
        "device_id" if !text.is_empty() => row.device_id = Some(text.parse().map_err(of_id)?),
        "light_id" if !text.is_empty() => row.light_id = Some(text.parse().map_err(of_id)?),
        "latitude" => row.latitude = number()?,
        "longitude" => row.longitude = number()?,
        "wattage" => row.wattage = Some(number()?),
        "name" => row.name = Some(text.to_owned()),
        "address" => row.address = Some(text.to_owned()),
        "city" => row.city = Some(text.to_owned()),
        "zone" => row.zone = Some(text.to_owned()),
        "ward" => row.ward = Some(text.to_owned()),
        "feeder" => row.feeder = Some(text.to_owned()),
        "pole" => row.pole = Some(text.to_owned()),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        for (text, shown) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-5 Main Road", "'-5 Main Road"),
            ("\t=x", "'\t=x"),
            ("'=x", "''=x"),
            ("'tis", "'tis"),
            ("Main Road", "Main Road"),
        ] {
            assert_eq!(guarded(text), shown);
            assert_eq!(unguarded(shown), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "['=+@\\-\t\r a]{0,6}") {
            let shown = guarded(&text);
            prop_assert!(!begins_formula(&shown));
            prop_assert_eq!(unguarded(&shown), text);
        }
    }
}
