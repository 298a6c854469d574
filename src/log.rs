//! Log lines: to standard error, as text or as one JSON object each. A line that a device's request wrote says which one.
use std::fmt::{self, Display, Write};
use std::io::IsTerminal;

use ccms_service::request;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;

/// A second call, as in tests, changes nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(&config.log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let _ = if config.log.format == "json" {
        log.json().map_event_format(|lines| OfRequest { lines, json: true }).try_init()
    } else {
        let text = log.with_target(false);
        text.map_event_format(|lines| OfRequest { lines: lines.with_ansi(colours), json: false }).try_init()
    };
}

/// Lines as `lines` writes them, and the request behind them.
struct OfRequest<F> {
    lines: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for OfRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(request) = request::current() else { return self.lines.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.lines.format_event(ctx, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", with_request(line.trim_end(), &*request, self.json))
    }
}

fn with_request(line: &str, request: &dyn request::Described, json: bool) -> String {
    let mut fields = String::new();
    request.describe(&mut |name, value| {
        let gap = match (json, fields.is_empty()) {
            (false, _) => " ",
            (true, true) => "",
            (true, false) => ",",
        };
        // Writing into memory does not fail.
        let _ = if json {
            write!(fields, "{gap}\"{name}\":{}", quoted(value))
        } else {
            write!(fields, "{gap}{name}={value}")
        };
    });
    match line.strip_suffix('}').filter(|_| json) {
        Some(open) => format!("{open},\"request\":{{{fields}}}}}"),
        None => format!("{line}{fields}"),
    }
}

fn quoted(value: &dyn Display) -> String {
    serde_json::Value::from(value.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Asked;

    impl request::Described for Asked {
        fn describe(&self, each: &mut dyn FnMut(&'static str, &dyn Display)) {
            each("id", &"a\"b");
            each("path", &"/device/X/status");
        }
    }

    #[test]
    fn a_line_says_which_request_it_is_of_and_stays_what_it_was() {
        let text = with_request("WARN kept", &Asked, false);
        assert_eq!(text, "WARN kept id=a\"b path=/device/X/status");
        let json = with_request(r#"{"level":"WARN","fields":{"message":"kept"}}"#, &Asked, true);
        let read: serde_json::Value = serde_json::from_str(&json).expect("one object");
        assert_eq!(read["request"]["id"], "a\"b");
        assert_eq!(read["request"]["path"], "/device/X/status");
        assert_eq!(read["fields"]["message"], "kept");
    }
}
