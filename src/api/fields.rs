//! The body of a request as an object, field by field: whatever is wrong with it is told at once, each under its field's name and
//! in a sentence for people. What a field may be is asked for as it is read; a field that nobody asked for is an error, so that
//! a misspelt one does not pass for set.
use std::fmt::Write;
use std::str::FromStr;

use axum::http::StatusCode;
use ccms_core::time::TimeOfDay;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{Flaw, Problem};

/// Flaws that are named: an answer must not be larger than what it answers.
const FLAWS_MAX: usize = 100;
const LAST_FLAW: usize = FLAWS_MAX - 1;

/// Where a body stops being JSON, in words for people.
pub fn not_json(body: &[u8], error: &serde_json::Error) -> Problem {
    Problem::malformed(if body.trim_ascii().is_empty() {
        "The body is empty; JSON is wanted.".to_owned()
    } else if error.is_eof() {
        "The body ends before its JSON does.".to_owned()
    } else {
        format!("The body is not JSON: it cannot be read at line {}, column {}.", error.line(), error.column())
    })
}

#[derive(Debug)]
pub struct Fields {
    /// Before each name: `schedule.` inside the schedule.
    prefix: String,
    left: Map<String, Value>,
    asked: Vec<&'static str>,
    flaws: Vec<Flaw>,
}

impl Fields {
    /// # Errors
    /// 400 when it is not JSON, 422 when it is no object.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(left)) => Ok(Self::of(String::new(), left)),
            Ok(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The body has to be a JSON object, {…}.")),
            Err(e) => Err(not_json(body, &e)),
        }
    }

    fn of(prefix: String, left: Map<String, Value>) -> Self {
        Self { prefix, left, asked: Vec::new(), flaws: Vec::new() }
    }

    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        let field = format!("{}{name}", self.prefix);
        match self.flaws.len() {
            FLAWS_MAX.. => {}
            LAST_FLAW => self.flaws.push(Flaw::of_field(&field, "There is more that is wrong, from here on.")),
            _ => self.flaws.push(Flaw::of_field(&field, message)),
        }
    }

    /// What `read` makes of a field; `None` when it is absent, null, or wrong: then it "has to be `wanted`".
    fn value<T>(&mut self, name: &'static str, wanted: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.change(name, wanted, read).flatten()
    }

    /// The same, and `Some(None)` for null.
    fn change<T>(&mut self, name: &'static str, wanted: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
        self.asked.push(name);
        let value = self.left.remove(name)?;
        let read = if value.is_null() { return Some(None) } else { read(&value) };
        if read.is_none() {
            self.wrong(name, format!("It has to be {wanted}, and not {}.", shown(&value)));
        }
        read.map(Some)
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.value(name, "a text", text)
    }

    pub fn text_change(&mut self, name: &'static str) -> Option<Option<String>> {
        self.change(name, "a text or null", text)
    }

    pub fn number(&mut self, name: &'static str) -> Option<f64> {
        self.value(name, "a number", Value::as_f64)
    }

    pub fn number_change(&mut self, name: &'static str) -> Option<Option<f64>> {
        self.change(name, "a number or null", Value::as_f64)
    }

    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.value(name, "true or false", Value::as_bool)
    }

    /// A whole number from `least` to `most`; `40.0` is one.
    pub fn whole(&mut self, name: &'static str, least: i64, most: i64) -> Option<i64> {
        self.value(name, &format!("a whole number from {least} to {most}"), |value| {
            let float = value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
            value.as_i64().or(float.map(|n| n as i64)).filter(|n| (least..=most).contains(n))
        })
    }

    pub fn time_of_day(&mut self, name: &'static str) -> Option<TimeOfDay> {
        self.value(name, "a time of day as 06:30:00", |value| TimeOfDay::parse(value.as_str()?))
    }

    /// An id.
    pub fn id<T: FromStr>(&mut self, name: &'static str, what: &str) -> Option<T> {
        self.value(name, &format!("the id of a {what}"), |value| value.as_str()?.parse().ok())
    }

    /// One of a few words.
    pub fn one_of<T: DeserializeOwned>(&mut self, name: &'static str, words: &str) -> Option<T> {
        self.value(name, words, |value| serde_json::from_value(value.clone()).ok())
    }

    /// A list of ids. Every one that is wrong is named by its place.
    pub fn ids<T: FromStr>(&mut self, name: &'static str, what: &str) -> Option<Vec<T>> {
        let list = self.value(name, "a list of ids", |value| value.as_array().cloned())?;
        let mut ids = Vec::with_capacity(list.len());
        for (at, value) in list.iter().enumerate() {
            match value.as_str().and_then(|text| text.parse().ok()) {
                Some(id) => ids.push(id),
                None => self.wrong(
                    &format!("{name}[{at}]"),
                    format!("It has to be the id of a {what}, and not {}.", shown(value)),
                ),
            }
        }
        Some(ids)
    }

    /// What is read of an object inside.
    pub fn object<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let left = self.value(name, "an object", |value| value.as_object().cloned())?;
        let mut inner = Self::of(format!("{}{name}.", self.prefix), left);
        let read = read(&mut inner);
        self.flaws.append(&mut inner.all());
        read
    }

    /// A field that cannot be left out; `read` is what was read of it.
    pub fn needed<T>(&mut self, name: &'static str, read: Option<T>) -> Option<T> {
        let field = format!("{}{name}", self.prefix);
        if read.is_none() && !self.flaws.iter().any(|f| f.field.as_deref().is_some_and(|f| f.starts_with(&field))) {
            self.wrong(name, "It is missing.");
        }
        read
    }

    /// Hands out what was read, unless something is wrong.
    ///
    /// # Errors
    /// 422 with everything that is.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        let flaws = self.all();
        match read {
            Some(read) if flaws.is_empty() => Ok(read),
            _ => Err(Problem::invalid(flaws)),
        }
    }

    fn all(mut self) -> Vec<Flaw> {
        let mut known = String::new();
        for (at, name) in self.asked.iter().enumerate() {
            let _ = write!(known, "{}{name}", if at == 0 { "" } else { ", " });
        }
        for name in std::mem::take(&mut self.left).into_iter().map(|(name, _)| name) {
            let short: String = name.chars().take(64).collect();
            self.wrong(&short, format!("There is no such field here; there are: {known}."));
        }
        self.flaws
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A value as it is shown to who sent it: short.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::String(text) if text.chars().count() > 40 => "a long text".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn flaws(problem: Problem) -> Value {
        serde_json::to_value(&problem).unwrap()["errors"].clone()
    }

    #[test]
    fn everything_that_is_wrong_is_told_under_its_name() {
        let body = json!({"level": 300, "ids": ["a", 7], "inner": {"on": "yes", "of": 1}, "word": null, "tpyo": 1});
        let mut fields = Fields::read(body.to_string().as_bytes()).unwrap();
        let level = fields.whole("level", 0, 100);
        let ids = fields.ids::<u8>("ids", "light");
        fields.object("inner", |f| f.flag("on"));
        let word = fields.text("word");
        fields.needed("word", word);
        let told = flaws(fields.finish(level.zip(ids)).unwrap_err());
        let all: Vec<(&str, &str)> = told
            .as_array()
            .unwrap()
            .iter()
            .map(|f| (f["field"].as_str().unwrap(), f["message"].as_str().unwrap()))
            .collect();
        assert_eq!(
            all,
            [
                ("level", "It has to be a whole number from 0 to 100, and not 300."),
                ("ids[0]", "It has to be the id of a light, and not \"a\"."),
                ("ids[1]", "It has to be the id of a light, and not 7."),
                ("inner.on", "It has to be true or false, and not \"yes\"."),
                ("inner.of", "There is no such field here; there are: on."),
                ("word", "It is missing."),
                ("tpyo", "There is no such field here; there are: level, ids, inner, word."),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_body_is_answered(bytes: Vec<u8>, text in "[\\[{\":,a-z0-9}\\] ]{0,40}") {
            for body in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(mut fields) = Fields::read(body) {
                    let (a, n) = (fields.text_change("a"), fields.whole("n", -5, 5));
                    let _ = fields.finish(a.zip(n));
                }
            }
        }
    }
}
