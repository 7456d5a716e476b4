//! The lines of Linux, as its own traces have them.

use super::{Graph, GraphStyle, Names};
use crate::event::{
    Class, GRAPH_ENTRY_ID, GRAPH_EXIT_ID, GRAPH_RETADDR_ENTRY_ID, Header, PRINT_ID, graph_entry_class,
    graph_exit_class, print_class,
};
use crate::symbolize::{SymbolAt, Symbolizer};
use crate::text::Found;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// Functions of 0x100 bytes from 0x1000 on.
const NAMES: [&str; 5] = ["outer", "leaf", "irq", "handler", "other"];
const IRQ: u64 = 0x1200;

struct Functions;

impl Symbolizer for Functions {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let at = address.checked_sub(0x1000)?;
        let name = NAMES.get((at / 0x100) as usize)?;
        Some(SymbolAt { name, offset: at % 0x100, size: 0x100 })
    }

    fn arguments(&self, function: u64, registers: &[u64], out: &mut Vec<u8>) -> bool {
        if function == 0x1100 {
            out.extend(format!("a={:#x}", registers[0]).bytes());
        }
        function == 0x1100
    }
}

fn address(name: &str) -> u64 {
    let at = NAMES.iter().position(|known| *known == name).unwrap_or(99);
    0x1000 + 0x100 * at as u64
}

/// A record, and who made it where and when.
struct Made {
    cpu: usize,
    time: u64,
    record: Vec<u8>,
}

fn made(id: u16, pid: i32, words: &[u64]) -> Made {
    let mut record = Header { id, pid, ..Header::default() }.to_word().to_le_bytes().to_vec();
    record.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    Made { cpu: 0, time: 6_374_906_700, record }
}

fn entry(name: &str, depth: u64) -> Made {
    made(GRAPH_ENTRY_ID, 327, &[address(name), depth])
}

fn exit(name: &str, depth: u64, ns: u64) -> Made {
    returned(name, depth, ns, 0)
}

fn returned(name: &str, depth: u64, ns: u64, value: u64) -> Made {
    made(GRAPH_EXIT_ID, 327, &[address(name), value, 7 << 32 | depth, 1000, 1000 + ns])
}

fn on(cpu: usize, pid: i32, mut made: Made) -> Made {
    made.cpu = cpu;
    made.record[4..8].copy_from_slice(&pid.to_le_bytes());
    made
}

/// The text of records, each CPU's leaves found as the reader of a ring finds them.
fn text(style: GraphStyle, records: &[Made]) -> String {
    let mut graph = Graph::new(style);
    let mut out = Vec::new();
    let comm = |pid: i32| (pid == 327).then(|| b"gold_and_more".to_vec());
    let names = Names { symbols: &Functions, comm: &comm };
    let mut used = vec![false; records.len()];
    for (i, made) in records.iter().enumerate() {
        if used[i] {
            continue;
        }
        let next = records.iter().enumerate().skip(i + 1).find(|(_, next)| next.cpu == made.cpu);
        let leaf = next.filter(|(_, next)| graph.is_leaf(made.cpu, &made.record, &next.record));
        if let Some((at, _)) = leaf {
            used[at] = true;
        }
        let found = Found { cpu: made.cpu, time: made.time, record: &made.record };
        let classes: [Class; 3] = [graph_entry_class(), graph_exit_class(), print_class()];
        let class = classes.iter().find(|class| class.id == Header::of(&made.record).id);
        let exit = leaf.map(|(_, exit)| exit.record.as_slice());
        assert!(graph.line(found, exit, class, &names, &mut out));
    }
    String::from_utf8(out).unwrap()
}

fn heading(style: GraphStyle) -> String {
    let mut out = Vec::new();
    Graph::new(style).heading("function_graph", &mut out);
    String::from_utf8(out).unwrap()
}

fn style() -> GraphStyle {
    GraphStyle { irq_entries: IRQ..IRQ + 1, ..GraphStyle::default() }
}

#[test]
fn calls_are_nested() {
    let records = [entry("outer", 0), entry("leaf", 1), exit("leaf", 1, 896), exit("outer", 0, 2_864)];
    assert_eq!(
        text(style(), &records),
        " 0)               |  outer() {
 0)   0.896 us    |    leaf();
 0)   2.864 us    |  }
"
    );
    let tail = GraphStyle { tail: true, ..style() };
    assert!(text(tail, &records).ends_with(" 0)   2.864 us    |  } /* outer */\n"));
}

#[test]
fn headings_are_those_of_linux() {
    assert_eq!(
        heading(style()),
        "# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
"
    );
    assert_eq!(
        heading(GraphStyle { cpu: false, ..style() }),
        "# tracer: function_graph
#
#  DURATION                  FUNCTION CALLS
#   |   |                     |   |   |   |
"
    );
    assert_eq!(
        heading(GraphStyle { abstime: true, proc: true, ..style() }),
        "# tracer: function_graph
#
#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS
#      |          |     |    |           |   |                     |   |   |   |
"
    );
    assert_eq!(
        heading(GraphStyle { duration: false, ..style() }),
        "# tracer: function_graph
#
# CPU               FUNCTION CALLS
# |                 |   |   |   |
"
    );
    assert_eq!(heading(GraphStyle { context: false, ..style() }), "# tracer: function_graph\n#\n");
}

#[test]
fn columns_are_switched() {
    let leaf = || [entry("leaf", 0), exit("leaf", 0, 912)];
    let shown = |style| text(style, &leaf());
    assert_eq!(shown(GraphStyle { cpu: false, ..style() }), "  0.912 us    |  leaf();\n");
    assert_eq!(
        shown(GraphStyle { proc: true, ..style() }),
        " 0)  gold_an-327   |   0.912 us    |  leaf();\n"
    );
    assert_eq!(shown(GraphStyle { duration: false, ..style() }), " 0) leaf();\n");
    assert_eq!(
        shown(GraphStyle { abstime: true, ..style() }),
        "    6.374906 |   0)   0.912 us    |  leaf();\n"
    );
    assert_eq!(shown(GraphStyle { context: false, ..style() }), "leaf();\n");
    let wide = GraphStyle { cpus: 12, ..style() };
    assert_eq!(shown(wide), "  0)   0.912 us    |  leaf();\n");
}

#[test]
fn long_times_have_marks() {
    let time = |ns| {
        let line = text(style(), &[entry("leaf", 0), exit("leaf", 0, ns)]);
        String::from(line.split('|').next().unwrap())
    };
    assert_eq!(time(10_000), " 0)   10.000 us   ");
    assert_eq!(time(10_001), " 0) + 10.001 us   ");
    assert_eq!(time(100_001), " 0) ! 100.001 us  ");
    assert_eq!(time(1_000_001), " 0) # 1000.001 us ");
    assert_eq!(time(10_000_001), " 0) * 10000.00 us ");
    assert_eq!(time(100_000_001), " 0) @ 100000.0 us ");
    assert_eq!(time(1_000_000_001), " 0) $ 1000000 us  ");
    assert_eq!(time(12_345_678_901), " 0) $ 12345678 us ");
    let bare = GraphStyle { overhead: false, ..style() };
    assert!(text(bare, &[entry("leaf", 0), exit("leaf", 0, 10_001)]).starts_with(" 0)   10.001"));
}

#[test]
fn another_task_is_announced() {
    let records = [
        entry("outer", 0),
        on(1, 5, entry("leaf", 0)),
        on(0, 369, entry("leaf", 2)),
        on(0, 369, exit("leaf", 2, 848)),
        on(1, 5, exit("leaf", 0, 900)),
        exit("outer", 0, 20_000),
    ];
    let want = " 0)               |  outer() {
 1)   0.900 us    |  leaf();
 ------------------------------------------
 0)  gold_an-327   =>   <...>-369   
 ------------------------------------------

 0)   0.848 us    |      leaf();
 ------------------------------------------
 0)   <...>-369    =>  gold_an-327  
 ------------------------------------------

 0) + 20.000 us   |  }
";
    assert_eq!(text(GraphStyle { cpus: 4, ..style() }, &records), want);
}

#[test]
fn interrupts_have_arrows_or_are_hidden() {
    let records = || {
        [
            entry("outer", 0),
            entry("irq", 1),
            entry("handler", 2),
            exit("handler", 2, 928),
            exit("irq", 1, 177_584),
            entry("leaf", 1),
            exit("leaf", 1, 800),
            exit("outer", 0, 185_328),
        ]
    };
    let want = " 0)               |  outer() {
 0)   ==========> |
 0)               |    irq() {
 0)   0.928 us    |      handler();
 0) ! 177.584 us  |    }
 0)   <========== |
 0)   0.800 us    |    leaf();
 0) ! 185.328 us  |  }
";
    assert_eq!(text(style(), &records()), want);
    let want = " 0)               |  outer() {
 0)   0.800 us    |    leaf();
 0) ! 185.328 us  |  }
";
    assert_eq!(text(GraphStyle { irqs: false, ..style() }, &records()), want);
}

#[test]
fn a_return_without_its_entry_is_named() {
    let records = [exit("leaf", 1, 912), exit("outer", 0, 2_000)];
    let want = " 0)   0.912 us    |    } /* leaf */
 0)   2.000 us    |  } /* outer */
";
    assert_eq!(text(style(), &records), want);
}

#[test]
fn other_records_are_comments() {
    let mut marker = made(PRINT_ID, 327, &[0x1000]);
    marker.record.extend(b"hello\n");
    let mut early = made(PRINT_ID, 327, &[0x1000]);
    early.record.extend(b"first\n");
    let records = [early, entry("outer", 0), entry("leaf", 1), marker, exit("leaf", 1, 900)];
    let want = " 0)               |  /* first */
 0)               |  outer() {
 0)               |    leaf() {
 0)               |      /* hello */
 0)   0.900 us    |    }
";
    assert_eq!(text(style(), &records), want);
}

#[test]
fn values_and_overruns() {
    let retval = GraphStyle { retval: true, ..style() };
    let leaf = |style: &GraphStyle, value| {
        let line = text(style.clone(), &[entry("leaf", 0), returned("leaf", 0, 912, value)]);
        String::from(line.split("|  ").nth(1).unwrap())
    };
    assert_eq!(leaf(&retval, 0), "leaf(); /* ret=0x0 */\n");
    assert_eq!(leaf(&retval, 55), "leaf(); /* ret=0x37 */\n");
    assert_eq!(leaf(&retval, -22i64 as u64), "leaf(); /* ret=-22 */\n");
    assert_eq!(leaf(&retval, u64::from(-22i32 as u32)), "leaf(); /* ret=-22 */\n");
    assert_eq!(leaf(&retval, -4096i64 as u64), "leaf(); /* ret=0xfffffffffffff000 */\n");
    let hex = GraphStyle { retval_hex: true, ..retval.clone() };
    assert_eq!(leaf(&hex, -1i64 as u64), "leaf(); /* ret=0xffffffffffffffff */\n");
    let nested = [entry("outer", 0), entry("leaf", 1), exit("leaf", 1, 900), returned("outer", 0, 2_000, 3)];
    assert!(text(retval, &nested).ends_with("|  } /* outer ret=0x3 */\n"));
    let overrun = GraphStyle { overrun: true, ..style() };
    assert!(text(overrun, &nested).ends_with("|  }\n (Overruns: 7)\n"));
}

#[test]
fn callers_and_arguments() {
    let retaddr = |name, depth| made(GRAPH_RETADDR_ENTRY_ID, 327, &[address(name), depth, 0x1410]);
    let records = [retaddr("outer", 0), retaddr("leaf", 1), exit("leaf", 1, 900), exit("outer", 0, 2_000)];
    let want = " 0)               |  outer() { /* <-other+0x10/0x100 */
 0)   0.900 us    |    leaf(); /* <-other+0x10/0x100 */
 0)   2.000 us    |  }
";
    assert_eq!(text(style(), &records), want);
    let with_args = |name| {
        let words: Vec<u64> = [address(name), 0].into_iter().chain(0x10..0x18).collect();
        made(GRAPH_ENTRY_ID, 327, &words)
    };
    let lines = text(style(), &[with_args("leaf"), exit("leaf", 0, 1), with_args("other")]);
    assert_eq!(lines, " 0)   0.001 us    |  leaf(a=0x10);\n 0)               |  other() {\n");
}

#[test]
fn short_records_are_no_danger() {
    for len in 0..40 {
        for made in [entry("leaf", 0), exit("leaf", 0, 1), made(GRAPH_RETADDR_ENTRY_ID, 1, &[9, u64::MAX])] {
            let record = made.record.get(..len).unwrap_or(&made.record).to_vec();
            let mut graph = Graph::new(style());
            let names = Names { symbols: &Functions, comm: &|_| None };
            let found = Found { cpu: 40, time: 0, record: &record };
            graph.line(found, Some(&record), Some(&graph_entry_class()), &names, &mut Vec::new());
        }
    }
}
