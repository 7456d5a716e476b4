//! Loads and stores of registers, pairs, literals and tags (C4.1.94).
//!
//! The addressing forms repeat one list of sizes and registers; `integer!` and `vector!` write the list once.

use super::op::Op::{
    Authenticated, Base, F, Indexed, Label19, Pair, Post, Pre, Prefetch, RangePrefetch, Tag, Unscaled,
    Unsigned, W, X, Xsp,
};
use super::op::field::{A, D, M};
use super::operand::FpSize::{B as Byte, D as Double, H as Half, Q as Quad, S as Single};
use super::{Section, row, section};

/// The rows of one addressing form of general registers. The picture is `size 111 0`, `top` (bits 25..24),
/// opc, `bottom` (bits 21..0); the operands by size.
macro_rules! integer {
    ($top:literal, $bottom:literal, [$($name:literal)*], $b:expr, $h:expr, $w:expr, $x:expr $(, $more:expr)*) => {
        integer!(@ $top, $bottom, $($name)*; $b; $h; $w; $x; $($more)*)
    };
    (@ $top:literal, $bottom:literal, $strb:literal $ldrb:literal $ldrsb:literal $strh:literal $ldrh:literal
       $ldrsh:literal $str:literal $ldr:literal $ldrsw:literal; $b:expr; $h:expr; $w:expr; $x:expr; $($more:expr)*) => {
        &[
            row(concat!("00 111 0 ", $top, " 00 ", $bottom), $strb, &[W(D), $b]),
            row(concat!("00 111 0 ", $top, " 01 ", $bottom), $ldrb, &[W(D), $b]),
            row(concat!("00 111 0 ", $top, " 10 ", $bottom), $ldrsb, &[X(D), $b]),
            row(concat!("00 111 0 ", $top, " 11 ", $bottom), $ldrsb, &[W(D), $b]),
            row(concat!("01 111 0 ", $top, " 00 ", $bottom), $strh, &[W(D), $h]),
            row(concat!("01 111 0 ", $top, " 01 ", $bottom), $ldrh, &[W(D), $h]),
            row(concat!("01 111 0 ", $top, " 10 ", $bottom), $ldrsh, &[X(D), $h]),
            row(concat!("01 111 0 ", $top, " 11 ", $bottom), $ldrsh, &[W(D), $h]),
            row(concat!("10 111 0 ", $top, " 00 ", $bottom), $str, &[W(D), $w]),
            row(concat!("10 111 0 ", $top, " 01 ", $bottom), $ldr, &[W(D), $w]),
            row(concat!("10 111 0 ", $top, " 10 ", $bottom), $ldrsw, &[X(D), $w]),
            row(concat!("11 111 0 ", $top, " 00 ", $bottom), $str, &[X(D), $x]),
            row(concat!("11 111 0 ", $top, " 01 ", $bottom), $ldr, &[X(D), $x]),
            $($more,)*
        ]
    };
}

/// The same for registers of the vector file.
macro_rules! vector {
    ($top:literal, $bottom:literal, $store:literal, $load:literal, $b:expr, $h:expr, $s:expr, $d:expr, $q:expr) => {
        &[
            row(concat!("00 ", $top, " 00 ", $bottom), $store, &[F(Byte, D), $b]),
            row(concat!("00 ", $top, " 01 ", $bottom), $load, &[F(Byte, D), $b]),
            row(concat!("00 ", $top, " 10 ", $bottom), $store, &[F(Quad, D), $q]),
            row(concat!("00 ", $top, " 11 ", $bottom), $load, &[F(Quad, D), $q]),
            row(concat!("01 ", $top, " 00 ", $bottom), $store, &[F(Half, D), $h]),
            row(concat!("01 ", $top, " 01 ", $bottom), $load, &[F(Half, D), $h]),
            row(concat!("10 ", $top, " 00 ", $bottom), $store, &[F(Single, D), $s]),
            row(concat!("10 ", $top, " 01 ", $bottom), $load, &[F(Single, D), $s]),
            row(concat!("11 ", $top, " 00 ", $bottom), $store, &[F(Double, D), $d]),
            row(concat!("11 ", $top, " 01 ", $bottom), $load, &[F(Double, D), $d]),
        ]
    };
}

/// The rows of one form of pairs; `mode` is bits 24..23.
macro_rules! pairs {
    ($mode:literal, $store:literal, $load:literal, $tstore:literal, $tload:literal $(, $stgp:literal, $ldpsw:literal)?) => {
        &[
            row(concat!("00 101 0 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $store, &[W(D), W(A), Pair(2)]),
            row(concat!("00 101 0 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $load, &[W(D), W(A), Pair(2)]),
            row(concat!("10 101 0 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $store, &[X(D), X(A), Pair(3)]),
            row(concat!("10 101 0 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $load, &[X(D), X(A), Pair(3)]),
            row(concat!("00 101 1 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $store, &[F(Single, D), F(Single, A), Pair(2)]),
            row(concat!("00 101 1 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $load, &[F(Single, D), F(Single, A), Pair(2)]),
            row(concat!("01 101 1 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $store, &[F(Double, D), F(Double, A), Pair(3)]),
            row(concat!("01 101 1 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $load, &[F(Double, D), F(Double, A), Pair(3)]),
            row(concat!("10 101 1 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $store, &[F(Quad, D), F(Quad, A), Pair(4)]),
            row(concat!("10 101 1 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $load, &[F(Quad, D), F(Quad, A), Pair(4)]),
            // Unprivileged (FEAT_LSUI).
            row(concat!("11 101 0 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $tstore, &[X(D), X(A), Pair(3)]),
            row(concat!("11 101 0 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $tload, &[X(D), X(A), Pair(3)]),
            row(concat!("11 101 1 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $tstore, &[F(Quad, D), F(Quad, A), Pair(4)]),
            row(concat!("11 101 1 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $tload, &[F(Quad, D), F(Quad, A), Pair(4)]),
            $(
                row(concat!("01 101 0 0 ", $mode, " 0 iiiiiii uuuuu nnnnn ttttt"), $stgp, &[X(D), X(A), Pair(4)]),
                row(concat!("01 101 0 0 ", $mode, " 1 iiiiiii uuuuu nnnnn ttttt"), $ldpsw, &[X(D), X(A), Pair(2)]),
            )?
        ]
    };
}

pub(super) const SECTIONS: &[Section] = &[
    section(
        "Load register (literal)",
        "xx 011 x 00 xxxxxxxxxxxxxxxxxxx xxxxx",
        &[
            row("00 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr", &[W(D), Label19]),
            row("01 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr", &[X(D), Label19]),
            row("10 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "ldrsw", &[X(D), Label19]),
            row("11 011 0 00 iiiiiiiiiiiiiiiiiii ttttt", "prfm", &[Prefetch, Label19]),
            row("00 011 1 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr", &[F(Single, D), Label19]),
            row("01 011 1 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr", &[F(Double, D), Label19]),
            row("10 011 1 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr", &[F(Quad, D), Label19]),
        ],
    ),
    section(
        "Load/store memory tags",
        "11 011001 xx 1 xxxxxxxxx xx xxxxx xxxxx",
        &[
            row("11 011001 00 1 000000000 00 nnnnn ttttt", "stzgm", &[X(D), Base]),
            row("11 011001 01 1 iiiiiiiii 00 nnnnn ttttt", "ldg", &[X(D), Tag]),
            row("11 011001 10 1 000000000 00 nnnnn ttttt", "stgm", &[X(D), Base]),
            row("11 011001 11 1 000000000 00 nnnnn ttttt", "ldgm", &[X(D), Base]),
            row("11 011001 00 1 iiiiiiiii 01 nnnnn ttttt", "stg", &[Xsp(D), Tag]),
            row("11 011001 00 1 iiiiiiiii 1x nnnnn ttttt", "stg", &[Xsp(D), Tag]),
            row("11 011001 01 1 iiiiiiiii 01 nnnnn ttttt", "stzg", &[Xsp(D), Tag]),
            row("11 011001 01 1 iiiiiiiii 1x nnnnn ttttt", "stzg", &[Xsp(D), Tag]),
            row("11 011001 10 1 iiiiiiiii 01 nnnnn ttttt", "st2g", &[Xsp(D), Tag]),
            row("11 011001 10 1 iiiiiiiii 1x nnnnn ttttt", "st2g", &[Xsp(D), Tag]),
            row("11 011001 11 1 iiiiiiiii 01 nnnnn ttttt", "stz2g", &[Xsp(D), Tag]),
            row("11 011001 11 1 iiiiiiiii 1x nnnnn ttttt", "stz2g", &[Xsp(D), Tag]),
        ],
    ),
    section(
        "LDAPR/STLR (unscaled immediate)",
        "xx 011001 xx 0 xxxxxxxxx 00 xxxxx xxxxx",
        &[
            row("00 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "stlurb", &[W(D), Unscaled]),
            row("00 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "ldapurb", &[W(D), Unscaled]),
            row("00 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "ldapursb", &[X(D), Unscaled]),
            row("00 011001 11 0 iiiiiiiii 00 nnnnn ttttt", "ldapursb", &[W(D), Unscaled]),
            row("01 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "stlurh", &[W(D), Unscaled]),
            row("01 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "ldapurh", &[W(D), Unscaled]),
            row("01 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "ldapursh", &[X(D), Unscaled]),
            row("01 011001 11 0 iiiiiiiii 00 nnnnn ttttt", "ldapursh", &[W(D), Unscaled]),
            row("10 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "stlur", &[W(D), Unscaled]),
            row("10 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "ldapur", &[W(D), Unscaled]),
            row("10 011001 10 0 iiiiiiiii 00 nnnnn ttttt", "ldapursw", &[X(D), Unscaled]),
            row("11 011001 00 0 iiiiiiiii 00 nnnnn ttttt", "stlur", &[X(D), Unscaled]),
            row("11 011001 01 0 iiiiiiiii 00 nnnnn ttttt", "ldapur", &[X(D), Unscaled]),
        ],
    ),
    section(
        "LDAPR/STLR (SIMD&FP)",
        "xx 011101 xx 0 xxxxxxxxx 10 xxxxx xxxxx",
        vector!(
            "011101",
            "0 iiiiiiiii 10 nnnnn ttttt",
            "stlur",
            "ldapur",
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled
        ),
    ),
    section(
        "Load/store no-allocate pair (offset)",
        "xx 101 x 0 00 x xxxxxxx xxxxx xxxxx xxxxx",
        pairs!("00", "stnp", "ldnp", "sttnp", "ldtnp"),
    ),
    section(
        "Load/store register pair (post-indexed)",
        "xx 101 x 0 01 x xxxxxxx xxxxx xxxxx xxxxx",
        pairs!("01", "stp", "ldp", "sttp", "ldtp", "stgp", "ldpsw"),
    ),
    section(
        "Load/store register pair (offset)",
        "xx 101 x 0 10 x xxxxxxx xxxxx xxxxx xxxxx",
        pairs!("10", "stp", "ldp", "sttp", "ldtp", "stgp", "ldpsw"),
    ),
    section(
        "Load/store register pair (pre-indexed)",
        "xx 101 x 0 11 x xxxxxxx xxxxx xxxxx xxxxx",
        pairs!("11", "stp", "ldp", "sttp", "ldtp", "stgp", "ldpsw"),
    ),
    section(
        "Load/store register (unscaled immediate)",
        "xx 111 0 00 xx 0 xxxxxxxxx 00 xxxxx xxxxx",
        integer!(
            "00",
            "0 iiiiiiiii 00 nnnnn ttttt",
            ["sturb" "ldurb" "ldursb" "sturh" "ldurh" "ldursh" "stur" "ldur" "ldursw"],
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled,
            row("11 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt", "prfum", &[Prefetch, Unscaled])
        ),
    ),
    section(
        "Load/store register (unscaled immediate), SIMD&FP",
        "xx 111 1 00 xx 0 xxxxxxxxx 00 xxxxx xxxxx",
        vector!(
            "111 1 00",
            "0 iiiiiiiii 00 nnnnn ttttt",
            "stur",
            "ldur",
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled
        ),
    ),
    section(
        "Load/store register (immediate post-indexed)",
        "xx 111 0 00 xx 0 xxxxxxxxx 01 xxxxx xxxxx",
        integer!(
            "00",
            "0 iiiiiiiii 01 nnnnn ttttt",
            ["strb" "ldrb" "ldrsb" "strh" "ldrh" "ldrsh" "str" "ldr" "ldrsw"],
            Post,
            Post,
            Post,
            Post
        ),
    ),
    section(
        "Load/store register (immediate post-indexed), SIMD&FP",
        "xx 111 1 00 xx 0 xxxxxxxxx 01 xxxxx xxxxx",
        vector!("111 1 00", "0 iiiiiiiii 01 nnnnn ttttt", "str", "ldr", Post, Post, Post, Post, Post),
    ),
    section(
        "Load/store register (unprivileged)",
        "xx 111 0 00 xx 0 xxxxxxxxx 10 xxxxx xxxxx",
        integer!(
            "00",
            "0 iiiiiiiii 10 nnnnn ttttt",
            ["sttrb" "ldtrb" "ldtrsb" "sttrh" "ldtrh" "ldtrsh" "sttr" "ldtr" "ldtrsw"],
            Unscaled,
            Unscaled,
            Unscaled,
            Unscaled
        ),
    ),
    section(
        "Load/store register (immediate pre-indexed)",
        "xx 111 0 00 xx 0 xxxxxxxxx 11 xxxxx xxxxx",
        integer!(
            "00",
            "0 iiiiiiiii 11 nnnnn ttttt",
            ["strb" "ldrb" "ldrsb" "strh" "ldrh" "ldrsh" "str" "ldr" "ldrsw"],
            Pre,
            Pre,
            Pre,
            Pre
        ),
    ),
    section(
        "Load/store register (immediate pre-indexed), SIMD&FP",
        "xx 111 1 00 xx 0 xxxxxxxxx 11 xxxxx xxxxx",
        vector!("111 1 00", "0 iiiiiiiii 11 nnnnn ttttt", "str", "ldr", Pre, Pre, Pre, Pre, Pre),
    ),
    section(
        "Load/store register (register offset)",
        "xx 111 0 00 xx 1 xxxxx xxx x 10 xxxxx xxxxx",
        integer!(
            "00",
            "1 mmmmm o1o S 10 nnnnn ttttt",
            ["strb" "ldrb" "ldrsb" "strh" "ldrh" "ldrsh" "str" "ldr" "ldrsw"],
            Indexed(0),
            Indexed(1),
            Indexed(2),
            Indexed(3),
            row("11 111 0 00 10 1 mmmmm o1o S 10 nnnnn 11ttt", "rprfm", &[RangePrefetch, X(M), Base]),
            row("11 111 0 00 10 1 mmmmm o1o S 10 nnnnn ttttt", "prfm", &[Prefetch, Indexed(3)])
        ),
    ),
    section(
        "Load/store register (register offset), SIMD&FP",
        "xx 111 1 00 xx 1 xxxxx xxx x 10 xxxxx xxxxx",
        vector!(
            "111 1 00",
            "1 mmmmm o1o S 10 nnnnn ttttt",
            "str",
            "ldr",
            Indexed(0),
            Indexed(1),
            Indexed(2),
            Indexed(3),
            Indexed(4)
        ),
    ),
    section(
        "Load/store register (pac)",
        "11 111 0 00 xx 1 xxxxxxxxx x 1 xxxxx xxxxx",
        &[
            row("11 111 0 00 0S 1 iiiiiiiii w 1 nnnnn ttttt", "ldraa", &[X(D), Authenticated]),
            row("11 111 0 00 1S 1 iiiiiiiii w 1 nnnnn ttttt", "ldrab", &[X(D), Authenticated]),
        ],
    ),
    section(
        "Load/store register (unsigned immediate)",
        "xx 111 0 01 xx xxxxxxxxxxxx xxxxx xxxxx",
        integer!(
            "01",
            "iiiiiiiiiiii nnnnn ttttt",
            ["strb" "ldrb" "ldrsb" "strh" "ldrh" "ldrsh" "str" "ldr" "ldrsw"],
            Unsigned(0),
            Unsigned(1),
            Unsigned(2),
            Unsigned(3),
            row("11 111 0 01 10 iiiiiiiiiiii nnnnn ttttt", "prfm", &[Prefetch, Unsigned(3)])
        ),
    ),
    section(
        "Load/store register (unsigned immediate), SIMD&FP",
        "xx 111 1 01 xx xxxxxxxxxxxx xxxxx xxxxx",
        vector!(
            "111 1 01",
            "iiiiiiiiiiii nnnnn ttttt",
            "str",
            "ldr",
            Unsigned(0),
            Unsigned(1),
            Unsigned(2),
            Unsigned(3),
            Unsigned(4)
        ),
    ),
];
