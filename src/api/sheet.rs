//! CSV as spreadsheets write it, split into rows. A row that cannot be split is told apart and costs no other row: reading goes
//! on at the next line, so that one quote too many does not swallow the rest of the file unseen.

/// Bytes of a row; a quote that stays open for longer was never closed.
const ROW_BYTES_MAX: usize = 16 * 1024;
const NEVER_CLOSED: &str = "A quote is opened here and never closed.";
/// Cells of a row that are kept.
pub const CELLS_MAX: usize = 256;

/// A row of the file, blank ones too: rows are counted as a spreadsheet does.
#[derive(Debug, PartialEq)]
pub struct SheetRow {
    /// At most [`CELLS_MAX`].
    pub cells: Vec<Vec<u8>>,
    /// How many there are.
    pub count: usize,
    /// The cell that cannot be read, and why.
    pub broken: Option<(usize, &'static str)>,
}

impl SheetRow {
    pub fn is_blank(&self) -> bool {
        self.broken.is_none() && self.cells.iter().all(|cell| cell.trim_ascii().is_empty())
    }
}

/// The rows of a file.
pub struct Rows<'a> {
    rest: &'a [u8],
    delimiter: u8,
}

impl<'a> Rows<'a> {
    /// The delimiter is the one that the first line has more of.
    pub fn new(bytes: &'a [u8]) -> Self {
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let head = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let count = |c: u8| head.iter().filter(|b| **b == c).count();
        let delimiter = if count(b';') > count(b',') { b';' } else { b',' };
        Self { rest, delimiter }
    }
}

impl Iterator for Rows<'_> {
    type Item = SheetRow;

    fn next(&mut self) -> Option<SheetRow> {
        if self.rest.is_empty() {
            return None;
        }
        let mut scan = Scan { bytes: self.rest, at: 0, delimiter: self.delimiter };
        let mut row = SheetRow { cells: Vec::new(), count: 0, broken: None };
        loop {
            let cell = scan.cell();
            row.count += 1;
            match cell {
                Ok(cell) if row.cells.len() < CELLS_MAX => row.cells.push(cell),
                Ok(_) => {}
                Err(why) => row.broken = Some((row.count - 1, why)),
            }
            if row.broken.is_none() && scan.bytes.get(scan.at) == Some(&self.delimiter) {
                scan.at += 1;
                continue;
            }
            // Behind a broken row only its own line is lost.
            let end = if row.broken.is_some() { line_end(self.rest, 0) } else { scan.at };
            self.rest = &self.rest[end + line_break(&self.rest[end..])..];
            return Some(row);
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    delimiter: u8,
}

impl Scan<'_> {
    /// Up to the delimiter or the end of the line, which stay.
    fn cell(&mut self) -> Result<Vec<u8>, &'static str> {
        if self.bytes.get(self.at) == Some(&b'"') {
            return self.quoted();
        }
        let rest = &self.bytes[self.at..];
        let ends = |b: &u8| *b == self.delimiter || *b == b'\n' || *b == b'\r';
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        if self.at > ROW_BYTES_MAX { Err("The row is too long.") } else { Ok(rest[..length].to_vec()) }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        self.at += 1;
        let mut cell = Vec::new();
        loop {
            match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(b'"'), Some(b'"')) => {
                    cell.push(b'"');
                    self.at += 2;
                }
                (Some(b'"'), _) => break,
                (Some(byte), _) if self.at < ROW_BYTES_MAX => {
                    cell.push(*byte);
                    self.at += 1;
                }
                _ => return Err(NEVER_CLOSED),
            }
        }
        self.at += 1;
        self.at += self.bytes[self.at..].iter().take_while(|b| **b == b' ').count();
        match self.bytes.get(self.at) {
            None | Some(b'\n' | b'\r') => Ok(cell),
            Some(byte) if *byte == self.delimiter => Ok(cell),
            // What closed it is the quote of another row.
            Some(_) if cell.contains(&b'\n') => Err(NEVER_CLOSED),
            Some(_) => Err("A quote ends in the middle of this cell; a quote that is meant is written twice."),
        }
    }
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|b| matches!(b, b'\n' | b'\r')).map_or(bytes.len(), |at| from + at)
}

/// Bytes of the line break at the beginning.
fn line_break(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cells joined by `|`; of a broken row the number of the cell.
    fn read(text: &str) -> Vec<String> {
        let shown = |row: SheetRow| match row.broken {
            Some((cell, _)) => format!("broken {cell}"),
            None => row.cells.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join("|"),
        };
        Rows::new(text.as_bytes()).map(shown).collect()
    }

    #[test]
    fn files_are_read_as_spreadsheets_write_them() {
        assert_eq!(read("a,b\r\n1,\"x, \"\"y\"\"\nz\" \r3,\n\n,4"), ["a|b", "1|x, \"y\"\nz", "3|", "", "|4"]);
        assert_eq!(read("\u{feff}a;b,c;d\n1;2;\n"), ["a|b,c|d", "1|2|"]);
        assert_eq!(read("a\n5\" pipe\n"), ["a", "5\" pipe"]);
        assert!(Rows::new(b"").next().is_none());
    }

    #[test]
    fn a_quote_too_many_costs_its_own_line_only() {
        assert_eq!(read("a,b\n1,\"open\n2,good\n"), ["a|b", "broken 1", "2|good"]);
        assert_eq!(read("a,b\n1,\"open\n2,\"good, too\"\n"), ["a|b", "broken 1", "2|good, too"]);
        assert_eq!(read("a\n\"x\"y\n\"z\""), ["a", "broken 0", "z"]);
    }

    #[test]
    fn a_hostile_file_is_read_in_bounded_steps() {
        // Each row opens a quote that the next one closes and opens again.
        assert_eq!(Rows::new("a\",\"b\n".repeat(1_000).as_bytes()).count(), 1_000);
        let wide = ",".repeat(1_000);
        let row = Rows::new(wide.as_bytes()).next().unwrap();
        assert_eq!((row.cells.len(), row.count), (CELLS_MAX, 1_001));
        assert!(Rows::new("x".repeat(ROW_BYTES_MAX + 1).as_bytes()).next().unwrap().broken.is_some());
    }

    proptest! {
        #[test]
        fn what_the_export_writes_comes_back(
            rows in prop::collection::vec(prop::collection::vec("[a,;\"\n\r ü]{0,4}", 2), 1..6),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            // The first row decides the delimiter.
            writer.write_record(["x", "y"]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let file = writer.into_inner().unwrap();
            let read: Vec<Vec<Vec<u8>>> = Rows::new(&file).skip(1).map(|r| r.cells).collect();
            let expected: Vec<Vec<Vec<u8>>> =
                rows.iter().map(|r| r.iter().map(|c| c.clone().into_bytes()).collect()).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(prop::sample::select(b"a,\"\n\r;".to_vec()), 0..200)) {
            let rows = Rows::new(&bytes).count();
            prop_assert!(rows <= bytes.len());
        }
    }
}
