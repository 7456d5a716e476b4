//! What a filter costs for each record that it judges.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use core::hint::black_box;
use tracecore::event::raw_data_class;
use tracecore::filter::{Context, Filter};
use tracecore::probe::{LookupError, Resolver, Symbol};
use tracecore::symbolize::{SymbolAt, Symbolizer};

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "filter/number", run: |b| judge(b, "id == 7", true) },
    Bench { name: "filter/two-numbers", run: |b| judge(b, "id > 6 && id & 2", true) },
    Bench { name: "filter/text", run: |b| judge(b, "comm == \"task\"", true) },
    Bench { name: "filter/glob", run: |b| judge(b, "comm ~ \"ta*\"", true) },
];

/// No names: these filters use none.
struct Nobody;

impl Resolver for Nobody {
    fn lookup(&self, _: &str) -> Result<Symbol, LookupError> {
        Err(LookupError::Missing)
    }

    fn is_function_entry(&self, _: u64) -> bool {
        false
    }
}

impl Symbolizer for Nobody {
    fn symbol_at(&self, _: u64) -> Option<SymbolAt<'_>> {
        None
    }
}

fn judge(b: &mut Bencher, expression: &str, want: bool) -> BenchResult {
    let filter = Filter::compile(expression, &raw_data_class(), &Nobody, &Nobody)
        .map_err(|_| Skip("the filter was refused"))?;
    let record = [0, 7u64];
    let context = Context { cpu: 0, comm: b"task\0\0\0\0\0\0\0\0\0\0\0\0" };
    let mut wrong = false;
    b.iter(1000, || wrong |= filter.accepts_words(black_box(&record), black_box(&context)) != want);
    if wrong { Err(Skip("the filter judged wrong")) } else { Ok(()) }
}
