//! The text of `function_graph`, read back into calls.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::{Call, Lane};

/// A call whose return has not been read.
struct Open {
    name: String,
    calls: Vec<Call>,
}

/// What was read of one CPU since its task last changed.
#[derive(Default)]
struct Reading {
    open: Vec<Open>,
    lane: Lane,
}

impl Reading {
    fn put(&mut self, call: Call) {
        match self.open.last_mut() {
            Some(open) => open.calls.push(call),
            None => self.lane.calls.push(call),
        }
    }

    /// The return of the innermost call. Without its entry, what it called is all that is known to be inside.
    fn close(&mut self, ns: u64) {
        if let Some(Open { name, calls }) = self.open.pop() {
            self.put(Call { name, ns, calls });
        }
    }

    /// What stands here; calls that have not returned are none, but what they called stays.
    fn end(mut self) -> Lane {
        while let Some(open) = self.open.pop() {
            match self.open.last_mut() {
                Some(outer) => outer.calls.extend(open.calls),
                None => self.lane.calls.extend(open.calls),
            }
        }
        self.lane
    }
}

/// A line of a call, taken apart.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    cpu: &'a str,
    task: &'a str,
    ns: Option<u64>,
    body: &'a str,
}

/// Reads a trace. Lines that are none of a graph are skipped: headings, rules, comments.
pub(super) fn lanes(text: &str) -> Result<Vec<Lane>> {
    let mut reading: HashMap<String, Reading> = HashMap::new();
    let mut lanes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some((cpu, _)) =
            line.split_once(')').filter(|(cpu, rest)| is_cpu(cpu) && rest.contains(" => "))
        {
            lanes.extend(reading.remove(cpu.trim()).map(Reading::end));
            continue;
        }
        let Some(line) = parse(line).with_context(|| format!("line {}", at + 1))? else { continue };
        let now = reading.entry(line.cpu.to_owned()).or_default();
        if now.lane.name.is_empty() {
            now.lane.name = [&format!("CPU {}", line.cpu), line.task].join(" ").trim_end().to_owned();
        }
        let name = line.body.trim_end();
        if let Some(name) = name.strip_suffix('{') {
            now.open.push(Open { name: bare(name), calls: Vec::new() });
        } else if name.starts_with('}') {
            now.close(line.ns.with_context(|| format!("line {}: an end without a time", at + 1))?);
        } else if let Some((name, _)) = name.split_once(");") {
            let ns = line.ns.with_context(|| format!("line {}: a call without a time", at + 1))?;
            now.put(Call { name: bare(name), ns, calls: Vec::new() });
        }
    }
    let mut rest: Vec<_> = reading.into_iter().collect();
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    lanes.extend(rest.into_iter().map(|(_, reading)| reading.end()));
    lanes.retain(|lane| !lane.calls.is_empty());
    Ok(lanes)
}

/// The name without arguments.
fn bare(name: &str) -> String {
    // A name may have brackets of its own: those of the arguments are the last.
    name.rsplit_once('(').map_or(name, |(name, _)| name).trim().to_owned()
}

fn is_cpu(text: &str) -> bool {
    text.starts_with(' ') && !text.trim().is_empty() && text.trim().bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes a line apart; `None` for one that is of no call.
fn parse(line: &str) -> Result<Option<Line<'_>>> {
    // The column of `funcgraph-abstime` is not needed.
    let line = match line.split_once(" |  ") {
        Some((time, rest)) if time.trim().parse::<f64>().is_ok() => rest,
        _ => line,
    };
    let Some((cpu, rest)) = line.split_once(')').filter(|(cpu, _)| is_cpu(cpu)) else { return Ok(None) };
    let mut columns: Vec<&str> = rest.splitn(3, '|').collect();
    let body = columns.pop().unwrap_or_default();
    let (task, time) = match columns[..] {
        [time] => ("", time),
        [task, time] => (task.trim(), time),
        _ => return Ok(None),
    };
    if time.contains("==") || body.trim().is_empty() || body.trim_start().starts_with("/*") {
        return Ok(None);
    }
    let time = time.trim().trim_start_matches(['+', '!', '#', '*', '@', '$']).trim();
    let ns = match time.strip_suffix("us") {
        Some(us) => Some(nanoseconds(us.trim())?),
        None if time.is_empty() => None,
        None => bail!("`{time}` is no time"),
    };
    Ok(Some(Line { cpu: cpu.trim(), task, ns, body: body.trim_start() }))
}

/// A number of microseconds with decimals.
fn nanoseconds(us: &str) -> Result<u64> {
    let us: f64 = us.parse().with_context(|| format!("`{us}` is no number"))?;
    Ok((us * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, ns: u64, calls: Vec<Call>) -> Call {
        Call { name: name.into(), ns, calls }
    }

    #[test]
    fn calls_are_read_as_they_were_nested() {
        let text = "\
# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)               |  outer() {
 0)   0.896 us    |    <a::B as c::D(u8)>::leaf();
 0)   ==========> |
 0)               |    irq() {
 0) ! 100.500 us  |    } /* irq ret=0x1 */
 0)   <========== |
 0)               |    /* a comment(); */
 0) # 2000.864 us |  }
 1)   0.500 us    |  other(); /* ret=0x2 */
";
        let lanes = lanes(text).unwrap();
        let outer = call(
            "outer",
            2_000_864,
            vec![call("<a::B as c::D(u8)>::leaf", 896, vec![]), call("irq", 100_500, vec![])],
        );
        assert_eq!(lanes[0], Lane { name: "CPU 0".into(), calls: vec![outer] });
        assert_eq!(lanes[1], Lane { name: "CPU 1".into(), calls: vec![call("other", 500, vec![])] });
    }

    #[test]
    fn columns_of_options_are_no_part_of_a_call() {
        let text = "    2.242823 |   0)   sleep-123    | + 22.496 us   |  leaf(a=0x1, b={x=(1)});\n";
        let lanes = lanes(text).unwrap();
        assert_eq!(lanes[0].name, "CPU 0 sleep-123");
        assert_eq!(lanes[0].calls[0].ns, 22_496);
    }

    #[test]
    fn tasks_have_lanes_and_open_calls_are_dropped() {
        let text = " 0)               |  outer() {\n 0)   1.000 us    |    leaf();\n\
                    \x20------------------------------------------\n 0)   sh-8   =>   init-1   \n\
                    \x20------------------------------------------\n\n 0)   2.000 us    |    }\n 0)   3.000 us    |  last();\n";
        let lanes = lanes(text).unwrap();
        assert_eq!(lanes.len(), 2);
        assert_eq!(lanes[0].calls, [call("leaf", 1000, vec![])]);
        assert_eq!(lanes[1].calls, [call("last", 3000, vec![])]);
    }

    #[test]
    fn what_is_no_trace_has_no_calls() {
        assert!(lanes("hello\n 0 there) | x\n").unwrap().is_empty());
        assert!(lanes(" 0)  soon  |  leaf();\n").is_err());
    }
}
