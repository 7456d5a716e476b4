//! The files of the rings: how large they are, whether they record, and what they count.
//!
//! | file | reads | takes |
//! |---|---|---|
//! | `buffer_size_kb` | KiB of each CPU's ring, `X` when they differ | the size of all |
//! | `per_cpu/cpuN/buffer_size_kb` | KiB of that ring | its size |
//! | `buffer_total_size_kb` | the sum | |
//! | `buffer_subbuf_size_kb` | KiB of a page | what rounds up to that |
//! | `tracing_on` | 0 or 1 | a number |
//! | `tracing_cpumask` | the CPUs that record, in hexadecimal | the same; none is allowed |
//! | `timestamp_mode` | what a record's time is relative to | |
//! | `per_cpu/cpuN/stats` | counts | |
//!
//! A size is rounded up to pages, and to the two that a ring needs. 0 is EINVAL, more than there is memory for ENOMEM.

use alloc::format;

use tracecore::errno::Errno;
use tracecore::{ring, text};

use super::{clock, rings};
use crate::fs::textfs::{Text, value};
use crate::fs::tracefs;

const PAGE_KB: usize = ring::PAGE_BYTES / 1024;

pub(super) fn init() {
    let root = tracefs::tracefs();
    root.file(
        "tracing_on",
        Text::new(0o640).flag(rings::is_on, |on| {
            rings::set_on(on);
            Ok(())
        }),
    );
    root.file("tracing_cpumask", cpumask());
    root.file("buffer_size_kb", size(None));
    root.file(
        "buffer_total_size_kb",
        Text::shown(0o440, |out| {
            writeln!(out, "{}", rings::cpus().map(rings::pages).sum::<usize>() * PAGE_KB)
                .map_err(|_| Errno::ENOMEM)
        }),
    );
    root.file(
        "buffer_subbuf_size_kb",
        Text::new(0o640).show(|out| writeln!(out, "{PAGE_KB}").map_err(|_| Errno::ENOMEM)).write(|data| {
            match value::number(data)? {
                kb if (1..=PAGE_KB as u64).contains(&kb) => Ok(data.len()),
                _ => Err(Errno::EINVAL),
            }
        }),
    );
    root.file(
        "timestamp_mode",
        Text::shown(0o440, |out| out.write_str("[delta] absolute\n").map_err(|_| Errno::ENOMEM)),
    );
    for cpu in rings::cpus() {
        let dir = root.dir("per_cpu", 0o750).dir(&format!("cpu{cpu}"), 0o750);
        dir.file("buffer_size_kb", size(Some(cpu)));
        dir.file(
            "stats",
            Text::new(0o440).bytes(move |out| {
                let stats =
                    rings::hold(cpu).reader().map(|reader| reader.stats(clock::now())).unwrap_or_default();
                text::stats(&stats, clock::times(), out);
                Ok(())
            }),
        );
    }
}

fn size(only: Option<usize>) -> Text {
    Text::new(0o640)
        .show(move |out| {
            let mut sizes = rings::selected(only).map(rings::pages);
            let first = sizes.next().unwrap_or(0);
            let shown = if sizes.all(|pages| pages == first) {
                writeln!(out, "{}", first * PAGE_KB)
            } else {
                writeln!(out, "X")
            };
            shown.map_err(|_| Errno::ENOMEM)
        })
        .write(move |data| {
            let kb = value::number(data)?;
            if kb == 0 {
                return Err(Errno::EINVAL);
            }
            let pages = usize::try_from(kb.div_ceil(PAGE_KB as u64)).map_err(|_| Errno::ENOMEM)?;
            rings::resize(only, pages)?;
            Ok(data.len())
        })
}

fn cpumask() -> Text {
    let cpus = rings::cpus().len();
    Text::new(0o640)
        .show(move |out| {
            writeln!(out, "{:0width$x}", rings::cpumask(), width = cpus.div_ceil(4))
                .map_err(|_| Errno::ENOMEM)
        })
        .write(move |data| {
            rings::set_cpumask(value::mask(data, cpus as u32)?);
            Ok(data.len())
        })
}
