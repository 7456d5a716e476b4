//! The C types of an event's fields: what `format` calls them, and how a value gets into the record.
//!
//! The names are C's, since that is what a field's declaration is read as.
#![expect(non_camel_case_types, reason = "they are C's")]
#![allow(dead_code, reason = "a vocabulary; not every word is used by some event")]

use super::Record;
use super::event::{Content, NAME_LEN};

/// A type of a field.
pub(crate) trait CType {
    /// As `format` has it.
    const NAME: &'static str;
    /// Is it signed?
    const SIGNED: bool;
    /// Elements, of an array; else 0.
    const COUNT: u16 = 0;
    /// Does what it says lie behind the fixed part?
    const TAILS: usize = 0;
    /// Something of its size and alignment.
    type Repr;
    /// What an event gives for it.
    type Value<'a>;

    /// Puts a value at an offset.
    fn put<'a, const W: usize, const T: usize>(
        record: &mut Record<'a, W, T>,
        at: usize,
        value: Self::Value<'a>,
    );

    /// Puts an array.
    #[inline(always)]
    fn put_all<'a, const W: usize, const T: usize, const N: usize>(
        record: &mut Record<'a, W, T>,
        at: usize,
        values: [Self::Value<'a>; N],
    ) {
        for (index, value) in values.into_iter().enumerate() {
            Self::put(record, at + index * size_of::<Self::Repr>(), value);
        }
    }
}

macro_rules! numbers {
    ($($name:ident $text:literal $value:ty as $unsigned:ty, $signed:literal;)*) => { $(
        #[doc = concat!("`", $text, "`")]
        pub(crate) struct $name;

        impl CType for $name {
            const NAME: &'static str = $text;
            const SIGNED: bool = $signed;
            type Repr = $unsigned;
            type Value<'a> = $value;

            #[inline(always)]
            fn put<'a, const W: usize, const T: usize>(record: &mut Record<'a, W, T>, at: usize, value: $value) {
                record.put(at, u64::from(value as $unsigned));
            }
        }
    )* };
}

numbers! {
    short "short" i16 as u16, true;
    unsigned_short "unsigned short" u16 as u16, false;
    int "int" i32 as u32, true;
    unsigned_int "unsigned int" u32 as u32, false;
    unsigned "unsigned" u32 as u32, false;
    long "long" i64 as u64, true;
    unsigned_long "unsigned long" u64 as u64, false;
    unsigned_char "unsigned char" u8 as u8, false;
    u8_ "u8" u8 as u8, false;
    u16_ "u16" u16 as u16, false;
    u32_ "u32" u32 as u32, false;
    u64_ "u64" u64 as u64, false;
    s64 "s64" i64 as u64, true;
    bool_ "bool" bool as u8, false;
    pid_t "pid_t" i32 as u32, true;
    dev_t "dev_t" u32 as u32, false;
    sector_t "sector_t" u64 as u64, false;
    ino_t "ino_t" u64 as u64, false;
    loff_t "loff_t" i64 as u64, true;
    size_t "size_t" u64 as u64, false;
    ssize_t "ssize_t" i64 as u64, true;
    hrtimer_mode "enum hrtimer_mode" u32 as u32, false;
}

/// An address. One of a `const char *` is that of a text of the image, which lives longer than any record; who prints the
/// record reads it.
macro_rules! addresses {
    ($($name:ident $text:literal;)*) => { $(
        #[doc = concat!("`", $text, "`")]
        pub(crate) struct $name;

        impl CType for $name {
            const NAME: &'static str = $text;
            const SIGNED: bool = false;
            type Repr = u64;
            type Value<'a> = usize;

            #[inline(always)]
            fn put<'a, const W: usize, const T: usize>(record: &mut Record<'a, W, T>, at: usize, value: usize) {
                record.put(at, value as u64);
            }
        }
    )* };
}

addresses! {
    ptr "void *";
    const_ptr "const void *";
    c_str "const char *";
}

/// `char`; an array of them is a text that ends at its first NUL.
pub(crate) struct char;

impl CType for char {
    const NAME: &'static str = "char";
    const SIGNED: bool = false;
    type Repr = u8;
    type Value<'a> = u8;

    #[inline(always)]
    fn put<'a, const W: usize, const T: usize>(record: &mut Record<'a, W, T>, at: usize, value: u8) {
        record.put(at, u64::from(value));
    }

    /// A word at a time.
    #[inline(always)]
    fn put_all<'a, const W: usize, const T: usize, const N: usize>(
        record: &mut Record<'a, W, T>,
        at: usize,
        values: [u8; N],
    ) {
        let (words, rest) = values.as_chunks();
        for (index, word) in words.iter().enumerate() {
            record.put(at + index * 8, u64::from_le_bytes(*word));
        }
        for (index, byte) in rest.iter().enumerate() {
            record.put(at + words.len() * 8 + index, u64::from(*byte));
        }
    }
}

/// `char [16]` that is there as words: a task's name.
pub(crate) struct task_comm;

impl CType for task_comm {
    const NAME: &'static str = "char";
    const SIGNED: bool = false;
    const COUNT: u16 = NAME_LEN as u16;
    type Repr = [u8; NAME_LEN];
    type Value<'a> = [u64; NAME_LEN / 8];

    #[inline(always)]
    fn put<'a, const W: usize, const T: usize>(
        record: &mut Record<'a, W, T>,
        at: usize,
        [low, high]: [u64; 2],
    ) {
        record.put(at, low);
        record.put(at + 8, high);
    }
}

impl<E: CType, const N: usize> CType for [E; N] {
    const NAME: &'static str = E::NAME;
    const SIGNED: bool = E::SIGNED;
    const COUNT: u16 = N as u16;
    type Repr = [E::Repr; N];
    type Value<'a> = [E::Value<'a>; N];

    #[inline(always)]
    fn put<'a, const W: usize, const T: usize>(
        record: &mut Record<'a, W, T>,
        at: usize,
        value: Self::Value<'a>,
    ) {
        E::put_all(record, at, value);
    }
}

macro_rules! tails {
    ($($name:ident $text:literal $value:ty, $variant:ident;)*) => { $(
        #[doc = concat!("`", $text, "`")]
        pub(crate) struct $name;

        impl CType for $name {
            const NAME: &'static str = $text;
            const SIGNED: bool = false;
            const TAILS: usize = 1;
            type Repr = u32;
            type Value<'a> = $value;

            #[inline(always)]
            fn put<'a, const W: usize, const T: usize>(record: &mut Record<'a, W, T>, at: usize, value: $value) {
                record.put_tail(at, Content::$variant(value));
            }
        }
    )* };
}

tails! {
    string "__data_loc char[]" &'a str, Text;
    task_name "__data_loc char[]" [u8; NAME_LEN], Name;
    string_at "__data_loc char[]" u64, Address;
    bytes "__data_loc u8[]" &'a [u8], Bytes;
    text_bytes "__data_loc char[]" &'a [u8], TextBytes;
    cpu_mask "__data_loc cpumask_t" u64, Mask;
}
