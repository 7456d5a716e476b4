//! Where the instructions of a benchmark row go, function by function: exact, by watching instead of sampling.
//!
//! QEMU can run one instruction at a time and log each with its address. The benchmark's own two readings of
//! the instruction counter, which stand in the kernel's `bencher::count_loop`, mark where counting begins and
//! ends; so what is shown is what the row's figure counted, and the guest runs not one instruction more
//! than without.
//!
//! ```text
//!   QEMU -d exec ──FIFO──▶ addresses ──▶ between two readings? ──▶ count per address ──▶ per function
//!                                          (the last such window: the loop with the operation inside)
//! ```
//!
//! For the row `boot/to-shell` everything counts, up to the entry of `bench::shell_reached`.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};

use crate::machine::Machine;
use crate::run::{self, End, Folder, Streams};
use crate::symbols;

/// The row that is measured in no loop.
const BOOT_ROW: &str = "boot/to-shell";
/// The function, one for each operation, whose readings of the counter begin and end a window.
const COUNT_LOOP: &str = "bench::bencher::count_loop";
/// Where the boot ends.
const BOOT_END: &str = "bench::shell_reached";

/// `mrs xN, pmevcntr0_el0`, and the bits of it that are not N.
const READ_COUNTER: u32 = 0xd53b_e800;
const NOT_RT: u32 = !0x1f;

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    start: u64,
    end: u64,
    name: String,
}

/// The linked kernel, as far as a profile wants it.
struct Kernel {
    /// By address.
    functions: Vec<Function>,
    /// Executable sections: address, bytes.
    text: Vec<(u64, Vec<u8>)>,
}

impl Kernel {
    fn read(elf: &Path) -> Result<Self> {
        let bytes = std::fs::read(elf).with_context(|| format!("could not read {}", elf.display()))?;
        let file = object::File::parse(&*bytes).context("the kernel is no ELF file")?;
        let mut functions: Vec<Function> = symbols::entries(&file)?
            .into_iter()
            .filter(|e| e.kind.eq_ignore_ascii_case(&b't') && e.size > 0)
            .map(|e| Function { start: e.start, end: e.start + e.size, name: e.name })
            .collect();
        functions.sort_by_key(|f| (f.start, f.end));
        let text = file
            .sections()
            .filter(|s| s.kind() == object::SectionKind::Text)
            .map(|s| Ok((s.address(), s.data()?.to_vec())))
            .collect::<Result<_>>()?;
        Ok(Self { functions, text })
    }

    /// The function that `pc` lies in.
    fn function(&self, pc: u64) -> Option<&Function> {
        let after = self.functions.partition_point(|f| f.start <= pc);
        self.functions[..after].last().filter(|f| pc < f.end)
    }

    /// The instruction at `pc`, as it was linked.
    fn word(&self, pc: u64) -> Option<u32> {
        let (start, bytes) = self.text.iter().find(|(start, bytes)| {
            pc.checked_sub(*start).is_some_and(|offset| offset < bytes.len() as u64)
        })?;
        let at = (pc - start) as usize;
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }

    /// The instruction as text, with the names of what it points to.
    fn disassemble(&self, word: u32, pc: u64) -> String {
        let name = |addr: u64, out: &mut dyn std::fmt::Write| match self.function(addr) {
            Some(f) if f.start == addr => write!(out, " <{}>", f.name),
            Some(f) => write!(out, " <{}+{:#x}>", f.name, addr - f.start),
            None => Ok(()),
        };
        a64::disasm::at(a64::Insn(word), pc).with_symbols(&name).to_string()
    }

    /// Where a window begins or ends.
    fn edges(&self) -> HashSet<u64> {
        let loops = self.functions.iter().filter(|f| f.name.contains(COUNT_LOOP));
        let is_reading = |pc: &u64| self.word(*pc).is_some_and(|word| word & NOT_RT == READ_COUNTER);
        loops.flat_map(|f| (f.start..f.end).step_by(4)).filter(is_reading).collect()
    }
}

/// How often each address was executed.
type Counts = HashMap<u64, u64>;

/// Which part of a run is wanted.
enum Window {
    /// From one reading of the counter to the next, whichever such part comes last.
    Last { edges: HashSet<u64>, open: Option<Counts> },
    /// Until this address is reached.
    Until { end: u64, reached: bool },
}

/// The part of a run that counts.
struct Watch {
    window: Window,
    counts: Counts,
    previous: Option<u64>,
}

impl Watch {
    fn new(window: Window) -> Self {
        Self { window, counts: Counts::new(), previous: None }
    }

    /// One line of QEMU's log.
    fn line(&mut self, line: &[u8]) {
        if line.starts_with(b"Trace ") {
            if let Some(pc) = address(line) {
                self.executed(pc);
                self.previous = Some(pc);
            }
        } else if line.starts_with(b"Stopped execution of TB chain before ") {
            // The one before was announced and then put off for an interrupt.
            if let Some(pc) = self.previous.take() {
                self.put_off(pc);
            }
        }
    }

    fn executed(&mut self, pc: u64) {
        let counts = match &mut self.window {
            Window::Last { edges, open } if edges.contains(&pc) => {
                match open.take() {
                    Some(counts) => self.counts = counts,
                    None => *open = Some(Counts::new()),
                }
                return;
            }
            Window::Last { open, .. } => open.as_mut(),
            Window::Until { end, reached } => {
                *reached |= pc == *end;
                (!*reached).then_some(&mut self.counts)
            }
        };
        if let Some(counts) = counts {
            *counts.entry(pc).or_default() += 1;
        }
    }

    fn put_off(&mut self, pc: u64) {
        let counts = match &mut self.window {
            Window::Last { open, .. } => open.as_mut(),
            Window::Until { reached, .. } => (!*reached).then_some(&mut self.counts),
        };
        if let Some(count) = counts.and_then(|counts| counts.get_mut(&pc)) {
            *count = count.saturating_sub(1);
        }
    }
}

/// The address in a line `Trace 0: 0x7f8a58000100 [cs_base/pc/flags/cflags] `, all in hexadecimal.
fn address(line: &[u8]) -> Option<u64> {
    let open = line.iter().position(|b| *b == b'[')?;
    let pc = line[open..].split(|b| *b == b'/').nth(1)?;
    u64::from_str_radix(str::from_utf8(pc).ok()?, 16).ok()
}

/// What a row says of itself.
struct Row {
    ops: u64,
    insns_per_op: f64,
}

/// Finds the row in the benchmark's output, one JSON object a line.
fn row(output: &[u8], name: &str) -> Result<Row> {
    for line in output.split(|b| *b == b'\n') {
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if json["name"] == name {
            if let Some(why) = json["skip"].as_str() {
                bail!("{name} was skipped: {why}");
            }
            let ops = json["ops"].as_u64().context("a row without operations")?;
            let insns_per_op = json["insns_per_op"].as_f64().context("a row without instructions")?;
            return Ok(Row { ops: ops.max(1), insns_per_op });
        }
    }
    bail!("the guest printed no row {name}");
}

/// Runs the row `name` and says where its instructions went; with `listing`, each instruction too.
pub fn profile(machine: &Machine, name: &str, listing: bool) -> Result<String> {
    let folder = Folder::new()?;
    let built = machine.kernel(&folder.path)?;
    let kernel = Kernel::read(&built.elf)?;
    let window = if name == BOOT_ROW {
        let end = kernel.functions.iter().find(|f| f.name == BOOT_END);
        Window::Until {
            end: end.context("the kernel says nowhere that its shell is there")?.start,
            reached: false,
        }
    } else {
        let edges = kernel.edges();
        ensure!(!edges.is_empty(), "the kernel has no benchmark loop");
        Window::Last { edges, open: None }
    };

    let fifo = folder.path.join("trace");
    let path = CString::new(fifo.as_os_str().as_bytes()).context("a path with a NUL in it")?;
    make_fifo(&path)?;
    let reader = {
        let fifo = fifo.clone();
        std::thread::spawn(move || -> std::io::Result<Watch> {
            watch(std::fs::File::open(fifo)?, Watch::new(window))
        })
    };
    let machine = Machine { smp: Some(1), icount: true, trace: Some(fifo.clone()), ..machine.clone() };
    let outcome = run::script(&built, &machine, format!("bench {name}\n").as_bytes(), Streams::Collect);
    // A QEMU that failed before it opened the FIFO leaves the reader waiting for it; if the reader is done, there is
    // nobody to open it for, and no reason to wait.
    drop(std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo));
    let watch =
        reader.join().ok().context("the reader of the trace failed")?.context("could not read the trace")?;
    let outcome = outcome?;
    if outcome.end != End::Status(0) {
        bail!("the run did not succeed:\n{}", outcome.console);
    }
    Ok(report(&kernel, &watch.counts, name, &row(&outcome.stdout, name)?, listing))
}

fn watch(log: impl Read, mut watch: Watch) -> std::io::Result<Watch> {
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        watch.line(&line);
        line.clear();
    }
    Ok(watch)
}

#[expect(unsafe_code, reason = "the standard library cannot make a FIFO")]
fn make_fifo(path: &CString) -> Result<()> {
    // SAFETY: the path is a C string; the call changes nothing of ours.
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    ensure!(made == 0, "could not make a FIFO: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What is said of an address that lies in no function.
const NO_FUNCTION: &str = "(no symbol)";

/// The table, the most expensive function first.
fn report(kernel: &Kernel, counts: &Counts, name: &str, row: &Row, listing: bool) -> String {
    let mut functions: HashMap<&str, (u64, u64)> = HashMap::new();
    for (pc, count) in counts {
        let function = kernel.function(*pc);
        let (insns, calls) = functions.entry(function.map_or(NO_FUNCTION, |f| &f.name)).or_default();
        *insns += count;
        *calls += if function.is_some_and(|f| f.start == *pc) { *count } else { 0 };
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|(a, (a_insns, _)), (b, (b_insns, _))| b_insns.cmp(a_insns).then(a.cmp(b)));

    let total: u64 = counts.values().sum();
    let per_op = |n: u64| n as f64 / row.ops as f64;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{name}: {:.1} instructions per operation; {:.1} with the loop around it, {} operations\n",
        row.insns_per_op,
        per_op(total),
        row.ops
    );
    let _ = writeln!(text, "   insns/op       %   calls/op  function");
    for (function, (insns, calls)) in &functions {
        let share = 100.0 * *insns as f64 / total.max(1) as f64;
        let _ = writeln!(text, "{:11.1} {share:7.1} {:10.2}  {function}", per_op(*insns), per_op(*calls));
    }
    if listing {
        list(&mut text, kernel, counts, &per_op);
    }
    text
}

/// Every executed instruction, by address.
fn list(text: &mut String, kernel: &Kernel, counts: &Counts, per_op: &dyn Fn(u64) -> f64) {
    let mut pcs: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
    pcs.sort();
    let mut last = None;
    for (pc, count) in pcs {
        let function = kernel.function(*pc);
        if last != Some(function) {
            let _ = writeln!(text, "\n{}:", function.map_or(NO_FUNCTION, |f| &f.name));
            last = Some(function);
        }
        let offset = function.map_or(*pc, |f| pc - f.start);
        let insn = match kernel.word(*pc) {
            Some(word) => kernel.disassemble(word, *pc),
            None => "(not in the image)".into(),
        };
        let _ = writeln!(text, "{:11.2}  +{offset:<#6x} {insn}", per_op(*count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(pcs: &[u64]) -> String {
        pcs.iter().map(|pc| format!("Trace 0: 0x7f [0000000000104004/{pc:016x}/00000121/ff] \n")).collect()
    }

    fn counts(log: &str, window: Window) -> Vec<(u64, u64)> {
        let watch = watch(log.as_bytes(), Watch::new(window)).unwrap();
        let mut counts: Vec<_> = watch.counts.into_iter().collect();
        counts.sort();
        counts
    }

    fn last(edges: &[u64]) -> Window {
        Window::Last { edges: edges.iter().copied().collect(), open: None }
    }

    #[test]
    fn reads_the_address_of_a_line() {
        let line = b"Trace 0: 0x7f8a58000100 [0000000000104004/ffff80008000858c/00000121/ff020201] f\n";
        assert_eq!(address(line), Some(0xffff_8000_8000_858c));
        for line in [&b"Trace 0: "[..], b"Trace 0: [1", b"Trace 0: [1/x/", b"", b"\xff[\xff/\xff/"] {
            assert_eq!(address(line), None);
        }
    }

    #[test]
    fn the_last_window_between_two_readings_counts() {
        let log = trace(&[1, 100, 2, 3, 104, 4, 100, 5, 6, 5, 104, 7]);
        assert_eq!(counts(&log, last(&[100, 104])), [(5, 2), (6, 1)]);
        // One that was opened and not closed does not.
        let log = trace(&[100, 2, 104, 4, 100, 5]);
        assert_eq!(counts(&log, last(&[100, 104])), [(2, 1)]);
        assert_eq!(counts("", last(&[1])), []);
    }

    #[test]
    fn the_boot_counts_until_its_end() {
        assert_eq!(
            counts(&trace(&[1, 2, 1, 9, 1]), Window::Until { end: 9, reached: false }),
            [(1, 2), (2, 1)]
        );
    }

    #[test]
    fn what_was_put_off_counts_once() {
        let mut log = trace(&[100, 2, 3]);
        log += "Stopped execution of TB chain before 0x7f [0000000000000003] \n";
        log += &trace(&[50, 3, 104]);
        log += "something else\n";
        assert_eq!(counts(&log, last(&[100, 104])), [(2, 1), (3, 1), (50, 1)]);
    }

    #[test]
    fn reads_rows() {
        let output = b"text\n{\"name\":\"a/b\",\"ops\":10,\"insns_per_op\":4.2,\"target\":5}\n{\"name\":\"c/d\",\"skip\":\"no\"}\n";
        let found = row(output, "a/b").unwrap();
        assert_eq!((found.ops, found.insns_per_op), (10, 4.2));
        assert!(row(output, "c/d").is_err_and(|e| e.to_string().contains("no")));
        assert!(row(output, "e/f").is_err());
    }

    #[test]
    fn adds_up_by_function() {
        let function = |start, end, name: &str| Function { start, end, name: name.into() };
        let kernel = Kernel {
            functions: vec![function(0x100, 0x110, "a"), function(0x110, 0x120, "b")],
            text: vec![(0x100, vec![0x1f, 0x20, 0x03, 0xd5, 4, 0, 0, 0x14])],
        };
        let counts = Counts::from([(0x100, 10), (0x104, 20), (0x11c, 50), (0x500, 1)]);
        let text = report(&kernel, &counts, "a/b", &Row { ops: 10, insns_per_op: 7.0 }, true);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines[0],
            "a/b: 7.0 instructions per operation; 8.1 with the loop around it, 10 operations"
        );
        assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["5.0", "61.7", "0.00", "b"]);
        assert_eq!(lines[4].split_whitespace().collect::<Vec<_>>(), ["3.0", "37.0", "1.00", "a"]);
        assert!(
            text.contains("a:\n       1.00  +0x0    nop\n       2.00  +0x4    b 0x114 <b+0x4>\n"),
            "{text}"
        );
        assert!(text.contains("(not in the image)"));
    }

    #[test]
    fn finds_the_readings_of_the_counter() {
        let words = [0xd53b_e808_u32, 0xd503_201f, 0xd53b_e809, 0xd53b_e808];
        let kernel = Kernel {
            functions: vec![
                Function { start: 0x100, end: 0x10c, name: "bench::bencher::count_loop::<x>".into() },
                Function { start: 0x10c, end: 0x110, name: "other".into() },
            ],
            text: vec![(0x100, words.iter().flat_map(|w| w.to_le_bytes()).collect())],
        };
        assert_eq!(kernel.edges(), HashSet::from([0x100, 0x108]));
    }
}
