//! `cargo xtask bench`: guest instructions per operation.
//!
//! The machine counts instructions instead of time (`--icount`) and has one CPU, so the same build gives
//! the same numbers twice. The guest prints a line of JSON for each row, with the figures of Linux on the
//! same machine and our target beside its own; here they become a table.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::machine::Machine;
use crate::run::{self, End, Folder, Streams};

/// Boots, measures and prints; the status is 0 when every row could be measured.
pub fn run(machine: &Machine, filter: Option<&str>, json: Option<&Path>) -> Result<u8> {
    let filter = filter.unwrap_or_default();
    ensure!(
        filter.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b)),
        "not part of a row's name"
    );
    let machine = Machine { smp: Some(machine.smp.unwrap_or(1)), icount: true, ..machine.clone() };
    let folder = Folder::new()?;
    let built = machine.kernel(&folder.path)?;
    let outcome = run::script(&built, &machine, format!("bench {filter}\n").as_bytes(), Streams::Collect)?;
    let rows = rows(&String::from_utf8_lossy(&outcome.stdout));
    if let Some(path) = json {
        let text: String = rows.iter().map(|row| row.to_string() + "\n").collect();
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    print!("{}", table(&rows));
    if outcome.end == End::Status(0) && !rows.is_empty() {
        return Ok(0);
    }
    eprintln!("{}", outcome.console);
    eprintln!("xtask: the benchmarks did not come to their end");
    Ok(outcome.end.status().max(1))
}

/// The guest's rows, one JSON object a line.
fn rows(stdout: &str) -> Vec<Value> {
    let rows = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    rows.filter(|row: &Value| row["name"].is_string()).collect()
}

/// The rows for a reader.
fn table(rows: &[Value]) -> String {
    let mut cells = vec![["row", "operations", "instructions", "Linux 7.2", "target", ""].map(str::to_owned)];
    for row in rows {
        let insns = row["insns_per_op"].as_f64();
        let note = match (insns, row["target"].as_f64()) {
            _ if row["skip"].is_string() => format!("skipped: {}", row["skip"].as_str().unwrap_or_default()),
            (Some(insns), Some(target)) if insns > target => format!("{:.2} × the target", insns / target),
            _ => String::new(),
        };
        let number = |name: &str| row[name].as_f64().map_or("–".to_owned(), grouped);
        cells.push([
            row["name"].as_str().unwrap_or_default().to_owned(),
            number("ops"),
            number("insns_per_op"),
            number("linux"),
            number("target"),
            note,
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut out = String::new();
    for row in &cells {
        let [name, ops, insns, linux, target, note] = row;
        let line = format!(
            "{name:<w0$}  {ops:>w1$}  {insns:>w2$}  {linux:>w3$}  {target:>w4$}  {note}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
            w4 = widths[4],
        );
        out += line.trim_end();
        out += "\n";
    }
    out
}

/// A number with its thousands set apart, and one decimal where it has one.
fn grouped(number: f64) -> String {
    let tenths = (number * 10.0).round();
    let digits = format!("{:.0}", (tenths / 10.0).trunc());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let tenth = tenths % 10.0;
    if tenth != 0.0 {
        out += &format!(".{tenth:.0}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0.0, "0"), (7.04, "7"), (7.06, "7.1"), (1234.0, "1,234"), (1148890576.5, "1,148,890,576.5")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn rows_become_a_table() {
        let out = "# noise\n{\"name\":\"a/b\",\"ops\":1000,\"insns_per_op\":90.5,\"linux\":79,\"target\":45}\n\
                   {\"name\":\"c\",\"skip\":\"no PMU\"}\n{\"other\":1}\n";
        let table = table(&rows(out));
        assert_eq!(
            table,
            "row  operations  instructions  Linux 7.2  target\n\
             a/b       1,000          90.5         79      45  2.01 × the target\n\
             c             –             –          –       –  skipped: no PMU\n"
        );
    }
}
