//! Programs about time, and the calendar they need.

use alloc::{
    format,
    string::{String, ToString},
};

use super::Program;
use super::args::{Options, bad, usage};
use crate::ctx::Ctx;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "date",
        usage: "[-u] [-d @SECONDS] [+FORMAT]",
        help: "print the time, in UTC",
        main: date,
    },
    Program { name: "sleep", usage: "SECONDS[smhd]...", help: "wait", main: sleep },
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const DAY_S: u64 = 86_400;

/// Seconds since 1970 as `2026-11-20T19:35:10`, UTC.
pub fn utc(unix_s: u64) -> String {
    // All conversions are known.
    Date::from_unix(unix_s).format("%FT%T", 0).unwrap_or_default()
}

/// A point of time in the calendar, UTC.
pub(crate) struct Date {
    unix_s: u64,
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
    /// 1 to 366.
    year_day: u64,
    /// 0 is Sunday.
    week_day: u64,
}

impl Date {
    /// From seconds since 1970. Years are counted from March, so that the leap day is the last one: 400 such
    /// years have 146,097 days, and within a year the months from March on have (153 m + 2) / 5 days.
    pub(crate) fn from_unix(unix_s: u64) -> Self {
        let days = unix_s / DAY_S;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let year_day = if month <= 2 { of_year - 306 + 1 } else { of_year + 59 + u64::from(leap) + 1 };
        Self { unix_s, year, month, day, year_day, week_day: (days + 4) % 7 }
    }

    fn month_name(&self) -> &'static str {
        usize::try_from(self.month).ok().and_then(|m| MONTHS.get(m.wrapping_sub(1))).copied().unwrap_or("?")
    }

    fn day_name(&self) -> &'static str {
        usize::try_from(self.week_day).ok().and_then(|d| DAYS.get(d)).copied().unwrap_or("?")
    }

    /// As `strftime` does; the letter of an unknown conversion is the error.
    pub(crate) fn format(&self, text: &str, nanoseconds: u64) -> Result<String, char> {
        let short = |name: &str| name.get(..3).unwrap_or(name).to_string();
        let (hour, minute, second) = (self.unix_s / 3600 % 24, self.unix_s / 60 % 60, self.unix_s % 60);
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let Some(letter) = chars.next() else {
                out.push('%');
                break;
            };
            let piece = match letter {
                'a' => short(self.day_name()),
                'A' => self.day_name().to_string(),
                'b' | 'h' => short(self.month_name()),
                'B' => self.month_name().to_string(),
                'd' => format!("{:02}", self.day),
                'D' => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
                'e' => format!("{:2}", self.day),
                'F' => format!("{}-{:02}-{:02}", self.year, self.month, self.day),
                'H' => format!("{hour:02}"),
                'j' => format!("{:03}", self.year_day),
                'm' => format!("{:02}", self.month),
                'M' => format!("{minute:02}"),
                'n' => "\n".to_string(),
                'N' => format!("{nanoseconds:09}"),
                'R' => format!("{hour:02}:{minute:02}"),
                's' => self.unix_s.to_string(),
                'S' => format!("{second:02}"),
                't' => "\t".to_string(),
                'T' => format!("{hour:02}:{minute:02}:{second:02}"),
                'u' => (if self.week_day == 0 { 7 } else { self.week_day }).to_string(),
                'w' => self.week_day.to_string(),
                'y' => format!("{:02}", self.year % 100),
                'Y' => self.year.to_string(),
                'z' => "+0000".to_string(),
                'Z' => "UTC".to_string(),
                '%' => "%".to_string(),
                other => return Err(other),
            };
            out.push_str(&piece);
        }
        Ok(out)
    }
}

fn date(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "ud:", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let mut now_ns = ctx.sys.realtime_ns();
    if let Some(text) = options.value('d') {
        match text
            .strip_prefix('@')
            .and_then(|s| s.parse::<u64>().ok())
            .and_then(|s| s.checked_mul(1_000_000_000))
        {
            Some(ns) => now_ns = ns,
            None => return bad(ctx, "date", text),
        }
    }
    let format = match options.rest.as_slice() {
        [] => "%a %b %e %H:%M:%S %Z %Y",
        [format] => match format.strip_prefix('+') {
            Some(format) => format,
            None => return bad(ctx, "date", format),
        },
        _ => {
            usage(ctx, true);
            return 1;
        }
    };
    match Date::from_unix(now_ns / 1_000_000_000).format(format, now_ns % 1_000_000_000) {
        Ok(text) => {
            ctx.print(&(text + "\n"));
            0
        }
        Err(letter) => bad(ctx, "conversion", &format!("%{letter}")),
    }
}

/// A time with a fraction and a unit, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let (number, unit_s) = match text.char_indices().last()? {
        (at, 's') => (text.get(..at)?, 1),
        (at, 'm') => (text.get(..at)?, 60),
        (at, 'h') => (text.get(..at)?, 3600),
        (at, 'd') => (text.get(..at)?, DAY_S),
        _ => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut ns = whole.saturating_mul(1_000_000_000);
    let mut digit_ns = 100_000_000;
    for digit in fraction.bytes() {
        ns = ns.saturating_add(u64::from(digit - b'0') * digit_ns);
        digit_ns /= 10;
    }
    Some(ns.saturating_mul(unit_s))
}

fn sleep(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if args.is_empty() {
        usage(ctx, true);
        return 1;
    }
    let mut total: u64 = 0;
    for arg in args {
        match parse_duration(arg) {
            Some(ns) => total = total.saturating_add(ns),
            None => return bad(ctx, "number", arg),
        }
    }
    ctx.sleep_ns(total);
    0
}

#[cfg(test)]
mod tests {
    use super::{Date, parse_duration};

    #[test]
    fn dates() {
        for (unix_s, text) in [
            (0, "1970-01-01 00:00:00 Thu 001"),
            (951_782_400, "2000-02-29 00:00:00 Tue 060"),
            (951_868_800, "2000-03-01 00:00:00 Wed 061"),
            (1_709_164_799, "2024-02-28 23:59:59 Wed 059"),
            (1_735_689_599, "2024-12-31 23:59:59 Tue 366"),
            (1_795_167_843, "2026-11-20 09:44:03 Fri 324"),
            (4_107_542_400, "2100-03-01 00:00:00 Mon 060"),
        ] {
            assert_eq!(Date::from_unix(unix_s).format("%F %T %a %j", 0).unwrap(), text);
        }
    }

    #[test]
    fn durations() {
        for (text, ns) in [
            ("1", Some(1_000_000_000)),
            ("0.25", Some(250_000_000)),
            (".5m", Some(30_000_000_000)),
            ("2h", Some(7_200_000_000_000)),
            ("1.", Some(1_000_000_000)),
            ("99999999999999999999d", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1x", None),
        ] {
            assert_eq!(parse_duration(text), ns, "{text}");
        }
    }
}
