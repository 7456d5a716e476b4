//! `bpf map event_pipe`: what programs send, as it comes, until Ctrl-C.
//!
//! ```text
//!   == @12.000345678 CPU: 1 index: 1 =====       a perf event array: when and where
//!   01 00 00 00 2a 00 00 00
//!   lost 3 events                                for which the CPU's buffer had no room
//!
//!   == 8 bytes =====                             a ring buffer
//!   01 00 00 00 2a 00 00 00
//! ```
//!
//! While nobody reads, a perf event array has no buffers, and what programs send is refused; a ring buffer keeps it. Behind
//! the words `events N` it ends after so many.

use alloc::format;
use alloc::string::String;

use ::bpf::map::MapKind;
use sh::Ctx;
use tracecore::errno::Errno;

use super::words::Words;
use super::{Done, Failure, show};
use crate::bpf::maps::{Event, Events, MAX_DATA, here};
use crate::time::{NS_PER_MS, NS_PER_S};

/// How long to sleep when there is nothing.
const PAUSE_NS: u64 = 10 * NS_PER_MS;

pub(super) fn events(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let (mut cpu, mut index, mut limit) = (None, None, u32::MAX);
    while let Some(word) = words.peek() {
        words.next()?;
        match word {
            "cpu" => cpu = Some(words.number("cpu")?),
            "index" => index = Some(words.number("index")?),
            "events" => limit = words.number("events")?,
            _ => return Err(Failure::word(format!("unknown arg {word}"))),
        }
    }
    if cpu.is_some() != index.is_some() || cpu != index {
        return Err(Failure::word(String::from("must specify cpu and index together, and the same")));
    }
    let mut data = [0; MAX_DATA];
    match map.def().kind {
        MapKind::PerfEventArray => {
            let failed = |errno: Errno| Failure::refused("event_pipe", errno);
            let mut events = Events::open(map, cpu).map_err(failed)?;
            each(ctx, limit, || match events.next(&mut data)? {
                Event::Data { time_ns, cpu, len } => Some(format!(
                    "== @{}.{:09} CPU: {cpu} index: {cpu} =====\n{}\n",
                    time_ns / NS_PER_S,
                    time_ns % NS_PER_S,
                    show::hex(data.get(..len)?)
                )),
                Event::Lost { count } => Some(format!("lost {count} events\n")),
            });
            Ok(())
        }
        MapKind::RingBuf => {
            each(ctx, limit, || {
                let len = here(|_| map.ring_take(&mut data)).ok()??;
                let shown = data.get(..len.min(MAX_DATA))?;
                Some(format!("== {len} bytes =====\n{}\n", show::hex(shown)))
            });
            Ok(())
        }
        _ => Err(Failure::word(String::from("map is not a perf event array"))),
    }
}

/// Prints what comes until there were so many, or somebody says stop.
fn each(ctx: &mut Ctx, limit: u32, mut next: impl FnMut() -> Option<String>) {
    let mut seen = 0;
    while seen < limit && ctx.stopped().is_none() {
        match next() {
            Some(text) => {
                ctx.print(&text);
                seen += 1;
            }
            None => {
                ctx.flush();
                ctx.sleep_ns(PAUSE_NS);
            }
        }
    }
    ctx.flush();
}
