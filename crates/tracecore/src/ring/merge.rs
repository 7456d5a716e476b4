//! Several rings as one stream, ordered by time.

use super::{
    look::Cursor,
    read::{Reader, Record},
};

/// One ring among several, to be consumed or looked at.
#[derive(Debug)]
pub struct Lane<'a> {
    /// Its CPU, for the caller.
    pub cpu: usize,
    reader: Reader<'a>,
    cursor: Option<Cursor>,
}

impl<'a> Lane<'a> {
    /// A lane whose events are taken out.
    pub fn consuming(cpu: usize, reader: Reader<'a>) -> Self {
        Self { cpu, reader, cursor: None }
    }

    /// A lane that is looked at, from `cursor` on.
    pub fn looking(cpu: usize, reader: Reader<'a>, cursor: Cursor) -> Self {
        Self { cpu, reader, cursor: Some(cursor) }
    }

    /// Where looking goes on.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Copies the lane's next event and leaves it where it is. False if there is none, or if some before it were lost.
    pub fn peek(&self, record: &mut Record) -> bool {
        let mut at = self.cursor.unwrap_or_else(|| self.reader.cursor());
        self.reader.look(&mut at, record) && record.lost == 0
    }

    /// Takes, or goes behind, the lane's next event.
    pub fn take(&mut self, record: &mut Record) -> bool {
        self.next(record)
    }

    fn ts(&mut self) -> Option<u64> {
        match &mut self.cursor {
            None => self.reader.peek_ts(),
            Some(cursor) => self.reader.look_ts(cursor),
        }
    }

    fn next(&mut self, record: &mut Record) -> bool {
        match &mut self.cursor {
            None => self.reader.read(record),
            Some(cursor) => self.reader.look(cursor, record),
        }
    }
}

/// The next event of all lanes by time, and among equals by lane; returns its CPU. `None` when all are empty.
///
/// A looked-at event can be overwritten after its time was seen; what that lane has instead is later, so the
/// lanes are compared again.
pub fn next_of(lanes: &mut [Lane<'_>], record: &mut Record) -> Option<usize> {
    loop {
        let times = lanes.iter_mut().enumerate().filter_map(|(i, lane)| Some((lane.ts()?, i)));
        let (ts, first) = times.min()?;
        let lane = lanes.get_mut(first)?;
        let before = lane.cursor;
        if lane.next(record) && (record.ts == ts || before.is_none()) {
            return Some(lane.cpu);
        }
        lane.cursor = before;
    }
}
