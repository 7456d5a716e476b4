//! Exclusives, ordered accesses, compare-and-swap and read-modify-write in memory (C4.1.94).
//!
//! The mnemonics of these are built from parts that the word has fields for: `ldadd` + `al` (acquire, release)
//! + `b` (byte). The operand that gives the suffix comes first in a row.

use super::op::Op::{
    Base, BasePairStep, BaseStep, CasOrder, CasPairOrder, CasUserOrder, CopyOptions, F, MovedBase, MovedX,
    NextR30, NextX, Order, R30, SetOptions, SizeSuffix, SizedOrder, W, X,
};
use super::op::field::{A, D, M, N};
use super::operand::FpSize::{D as Double, H as Half, S as Single};
use super::rules::{eight_registers, even_pairs};
use super::{Section, row, section};

/// The read-modify-write operations: one row for words, one for bytes and halves.
macro_rules! lse {
    ($($o3:literal $opc:literal $name:literal;)*) => {
        &[$(
            row(concat!("0x 111 0 00 ar 1 sssss ", $o3, $opc, " 00 nnnnn ttttt"), $name, &[SizedOrder, W(M), W(D), Base]),
            row(concat!("1x 111 0 00 ar 1 sssss ", $o3, $opc, " 00 nnnnn ttttt"), $name, &[SizedOrder, R30(M), R30(D), Base]),
        )*]
    };
}

/// Without a result: `stadd` for `ldadd` to the zero register, if it does not acquire.
macro_rules! lse_store {
    ($($opc:literal $name:literal;)*) => {
        &[$(
            row(concat!("0x 111 0 00 0r 1 sssss 0", $opc, " 00 nnnnn 11111"), $name, &[SizedOrder, W(M), Base]),
            row(concat!("1x 111 0 00 0r 1 sssss 0", $opc, " 00 nnnnn 11111"), $name, &[SizedOrder, R30(M), Base]),
        )*]
    };
}

/// The same on floats: load forms with a result, store forms without.
macro_rules! lse_float {
    ($($opc:literal $load:literal $store:literal $bload:literal $bstore:literal;)*) => {
        &[$(
            row(concat!("00 111 1 00 ar 1 sssss 0", $opc, " 00 nnnnn ttttt"), $bload, &[Order, F(Half, M), F(Half, D), Base]),
            row(concat!("01 111 1 00 ar 1 sssss 0", $opc, " 00 nnnnn ttttt"), $load, &[Order, F(Half, M), F(Half, D), Base]),
            row(concat!("10 111 1 00 ar 1 sssss 0", $opc, " 00 nnnnn ttttt"), $load, &[Order, F(Single, M), F(Single, D), Base]),
            row(concat!("11 111 1 00 ar 1 sssss 0", $opc, " 00 nnnnn ttttt"), $load, &[Order, F(Double, M), F(Double, D), Base]),
            row(concat!("00 111 1 00 0r 1 sssss 1", $opc, " 00 nnnnn 11111"), $bstore, &[Order, F(Half, M), Base]),
            row(concat!("01 111 1 00 0r 1 sssss 1", $opc, " 00 nnnnn 11111"), $store, &[Order, F(Half, M), Base]),
            row(concat!("10 111 1 00 0r 1 sssss 1", $opc, " 00 nnnnn 11111"), $store, &[Order, F(Single, M), Base]),
            row(concat!("11 111 1 00 0r 1 sssss 1", $opc, " 00 nnnnn 11111"), $store, &[Order, F(Double, M), Base]),
        )*]
    };
}

pub(super) const SECTIONS: &[Section] = &[
    section(
        "Compare and swap pair",
        "0x 001000 0 x 1 xxxxx x xxxxx xxxxx xxxxx",
        &[row(
            "0z 001000 0 a 1 sssss r 11111 nnnnn ttttt",
            "casp",
            &[CasPairOrder, R30(M), NextR30(M), R30(D), NextR30(D), Base],
        )
        .when(even_pairs)],
    ),
    section(
        "Load/store exclusive pair",
        "1x 001000 0 x 1 xxxxx x xxxxx xxxxx xxxxx",
        &[
            row("1z 001000 0 0 1 sssss 0 uuuuu nnnnn ttttt", "stxp", &[W(M), R30(D), R30(A), Base]),
            row("1z 001000 0 0 1 sssss 1 uuuuu nnnnn ttttt", "stlxp", &[W(M), R30(D), R30(A), Base]),
            row("1z 001000 0 1 1 11111 0 uuuuu nnnnn ttttt", "ldxp", &[R30(D), R30(A), Base]),
            row("1z 001000 0 1 1 11111 1 uuuuu nnnnn ttttt", "ldaxp", &[R30(D), R30(A), Base]),
        ],
    ),
    section(
        "Load/store exclusive register",
        "xx 001000 0 x 0 xxxxx x xxxxx xxxxx xxxxx",
        &[
            row("0z 001000 0 0 0 sssss 0 11111 nnnnn ttttt", "stxr", &[SizeSuffix, W(M), W(D), Base]),
            row("1z 001000 0 0 0 sssss 0 11111 nnnnn ttttt", "stxr", &[W(M), R30(D), Base]),
            row("0z 001000 0 0 0 sssss 1 11111 nnnnn ttttt", "stlxr", &[SizeSuffix, W(M), W(D), Base]),
            row("1z 001000 0 0 0 sssss 1 11111 nnnnn ttttt", "stlxr", &[W(M), R30(D), Base]),
            row("0z 001000 0 1 0 11111 0 11111 nnnnn ttttt", "ldxr", &[SizeSuffix, W(D), Base]),
            row("1z 001000 0 1 0 11111 0 11111 nnnnn ttttt", "ldxr", &[R30(D), Base]),
            row("0z 001000 0 1 0 11111 1 11111 nnnnn ttttt", "ldaxr", &[SizeSuffix, W(D), Base]),
            row("1z 001000 0 1 0 11111 1 11111 nnnnn ttttt", "ldaxr", &[R30(D), Base]),
        ],
    ),
    section(
        "Load/store ordered",
        "xx 001000 1 x 0 xxxxx x xxxxx xxxxx xxxxx",
        &[
            row("0z 001000 1 0 0 11111 0 11111 nnnnn ttttt", "stllr", &[SizeSuffix, W(D), Base]),
            row("1z 001000 1 0 0 11111 0 11111 nnnnn ttttt", "stllr", &[R30(D), Base]),
            row("0z 001000 1 0 0 11111 1 11111 nnnnn ttttt", "stlr", &[SizeSuffix, W(D), Base]),
            row("1z 001000 1 0 0 11111 1 11111 nnnnn ttttt", "stlr", &[R30(D), Base]),
            row("0z 001000 1 1 0 11111 0 11111 nnnnn ttttt", "ldlar", &[SizeSuffix, W(D), Base]),
            row("1z 001000 1 1 0 11111 0 11111 nnnnn ttttt", "ldlar", &[R30(D), Base]),
            row("0z 001000 1 1 0 11111 1 11111 nnnnn ttttt", "ldar", &[SizeSuffix, W(D), Base]),
            row("1z 001000 1 1 0 11111 1 11111 nnnnn ttttt", "ldar", &[R30(D), Base]),
        ],
    ),
    section(
        "Compare and swap",
        "xx 001000 1 x 1 xxxxx x xxxxx xxxxx xxxxx",
        &[
            row("0z 001000 1 a 1 sssss r 11111 nnnnn ttttt", "cas", &[CasOrder, W(M), W(D), Base]),
            row("1z 001000 1 a 1 sssss r 11111 nnnnn ttttt", "cas", &[CasOrder, R30(M), R30(D), Base]),
        ],
    ),
    // Unprivileged exclusives and atomics (FEAT_LSUI).
    section(
        "Load/store exclusive unprivileged, compare and swap unprivileged",
        "xx 001001 xxxxxxxxxxxxxxxxxxxxxxxx",
        &[
            row("1z 001001 0 0 0 sssss 0 11111 nnnnn ttttt", "sttxr", &[W(M), R30(D), Base]),
            row("1z 001001 0 0 0 sssss 1 11111 nnnnn ttttt", "stltxr", &[W(M), R30(D), Base]),
            row("1z 001001 0 1 0 11111 0 11111 nnnnn ttttt", "ldtxr", &[R30(D), Base]),
            row("1z 001001 0 1 0 11111 1 11111 nnnnn ttttt", "ldatxr", &[R30(D), Base]),
            row("11 001001 1 a 0 sssss r 11111 nnnnn ttttt", "cas", &[CasUserOrder, X(M), X(D), Base]),
            row(
                "01 001001 1 a 0 sssss r 11111 nnnnn ttttt",
                "casp",
                &[CasUserOrder, X(M), NextX(M), X(D), NextX(D), Base],
            )
            .when(even_pairs),
        ],
    ),
    section(
        "Memory Copy and Memory Set",
        "00 011 x 01 xx 0 xxxxx xxxx 01 xxxxx xxxxx",
        &[
            row(
                "00 011 0 01 00 0 sssss oooo 01 nnnnn ddddd",
                "cpyfp",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 0 01 01 0 sssss oooo 01 nnnnn ddddd",
                "cpyfm",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 0 01 10 0 sssss oooo 01 nnnnn ddddd",
                "cpyfe",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 1 01 00 0 sssss oooo 01 nnnnn ddddd",
                "cpyp",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 1 01 01 0 sssss oooo 01 nnnnn ddddd",
                "cpym",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 1 01 10 0 sssss oooo 01 nnnnn ddddd",
                "cpye",
                &[CopyOptions, MovedBase(D), MovedBase(M), MovedX(N)],
            ),
            row(
                "00 011 0 01 11 0 sssss 00oo 01 nnnnn ddddd",
                "setp",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
            row(
                "00 011 0 01 11 0 sssss 01oo 01 nnnnn ddddd",
                "setm",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
            row(
                "00 011 0 01 11 0 sssss 10oo 01 nnnnn ddddd",
                "sete",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
            row(
                "00 011 1 01 11 0 sssss 00oo 01 nnnnn ddddd",
                "setgp",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
            row(
                "00 011 1 01 11 0 sssss 01oo 01 nnnnn ddddd",
                "setgm",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
            row(
                "00 011 1 01 11 0 sssss 10oo 01 nnnnn ddddd",
                "setge",
                &[SetOptions, MovedBase(D), MovedX(N), X(M)],
            ),
        ],
    ),
    section(
        "Atomic memory operations on pairs, checked and unprivileged",
        "0x 011001 xx 1 xxxxx xxxx xx xxxxx xxxxx",
        &[
            row("00 011001 ar 1 sssss 0001 00 nnnnn ttttt", "ldclrp", &[Order, X(D), X(M), Base]),
            row("00 011001 ar 1 sssss 0011 00 nnnnn ttttt", "ldsetp", &[Order, X(D), X(M), Base]),
            row("00 011001 ar 1 sssss 1000 00 nnnnn ttttt", "swpp", &[Order, X(D), X(M), Base]),
            row("00 011001 ar 1 sssss 1001 00 nnnnn ttttt", "rcwclrp", &[Order, X(D), X(M), Base]),
            row("00 011001 ar 1 sssss 1010 00 nnnnn ttttt", "rcwswpp", &[Order, X(D), X(M), Base]),
            row("00 011001 ar 1 sssss 1011 00 nnnnn ttttt", "rcwsetp", &[Order, X(D), X(M), Base]),
            row("01 011001 ar 1 sssss 1001 00 nnnnn ttttt", "rcwsclrp", &[Order, X(D), X(M), Base]),
            row("01 011001 ar 1 sssss 1010 00 nnnnn ttttt", "rcwsswpp", &[Order, X(D), X(M), Base]),
            row("01 011001 ar 1 sssss 1011 00 nnnnn ttttt", "rcwssetp", &[Order, X(D), X(M), Base]),
            row("0z 011001 ar 1 sssss 0000 01 nnnnn ttttt", "ldtadd", &[Order, R30(M), R30(D), Base]),
            row("0z 011001 ar 1 sssss 0001 01 nnnnn ttttt", "ldtclr", &[Order, R30(M), R30(D), Base]),
            row("0z 011001 ar 1 sssss 0011 01 nnnnn ttttt", "ldtset", &[Order, R30(M), R30(D), Base]),
            row("0z 011001 ar 1 sssss 1000 01 nnnnn ttttt", "swpt", &[Order, R30(M), R30(D), Base]),
            row("00 011001 ar 1 sssss 0000 10 nnnnn ttttt", "rcwcas", &[Order, X(M), X(D), Base]),
            row("01 011001 ar 1 sssss 0000 10 nnnnn ttttt", "rcwscas", &[Order, X(M), X(D), Base]),
            row(
                "00 011001 ar 1 sssss 0000 11 nnnnn ttttt",
                "rcwcasp",
                &[Order, X(M), NextX(M), X(D), NextX(D), Base],
            )
            .when(even_pairs),
            row(
                "01 011001 ar 1 sssss 0000 11 nnnnn ttttt",
                "rcwscasp",
                &[Order, X(M), NextX(M), X(D), NextX(D), Base],
            )
            .when(even_pairs),
        ],
    ),
    section(
        "Atomic memory operations",
        "xx 111 0 00 xx 1 xxxxx x xxx 00 xxxxx xxxxx",
        lse! {
            "0" "000" "ldadd";
            "0" "001" "ldclr";
            "0" "010" "ldeor";
            "0" "011" "ldset";
            "0" "100" "ldsmax";
            "0" "101" "ldsmin";
            "0" "110" "ldumax";
            "0" "111" "ldumin";
            "1" "000" "swp";
        },
    )
    .aliases(lse_store! {
        "000" "stadd";
        "001" "stclr";
        "010" "steor";
        "011" "stset";
        "100" "stsmax";
        "101" "stsmin";
        "110" "stumax";
        "111" "stumin";
    }),
    section(
        "Atomic memory operations, others",
        "xx 111 0 00 xx 1 xxxxx 1 xxx 00 xxxxx xxxxx",
        &[
            row("0z 111 0 00 10 1 11111 1100 00 nnnnn ttttt", "ldapr", &[SizeSuffix, W(D), Base]),
            row("1z 111 0 00 10 1 11111 1100 00 nnnnn ttttt", "ldapr", &[R30(D), Base]),
            row("11 111 0 00 00 1 11111 1001 00 nnnnn ttttt", "st64b", &[X(D), Base]).when(eight_registers),
            row("11 111 0 00 00 1 sssss 1010 00 nnnnn ttttt", "st64bv0", &[X(M), X(D), Base])
                .when(eight_registers),
            row("11 111 0 00 00 1 sssss 1011 00 nnnnn ttttt", "st64bv", &[X(M), X(D), Base])
                .when(eight_registers),
            row("11 111 0 00 00 1 11111 1101 00 nnnnn ttttt", "ld64b", &[X(D), Base]).when(eight_registers),
            row("00 111 0 00 ar 1 sssss 1001 00 nnnnn ttttt", "rcwclr", &[Order, X(M), X(D), Base]),
            row("00 111 0 00 ar 1 sssss 1010 00 nnnnn ttttt", "rcwswp", &[Order, X(M), X(D), Base]),
            row("00 111 0 00 ar 1 sssss 1011 00 nnnnn ttttt", "rcwset", &[Order, X(M), X(D), Base]),
            row("01 111 0 00 ar 1 sssss 1001 00 nnnnn ttttt", "rcwsclr", &[Order, X(M), X(D), Base]),
            row("01 111 0 00 ar 1 sssss 1010 00 nnnnn ttttt", "rcwsswp", &[Order, X(M), X(D), Base]),
            row("01 111 0 00 ar 1 sssss 1011 00 nnnnn ttttt", "rcwsset", &[Order, X(M), X(D), Base]),
        ],
    ),
    section(
        "Atomic memory operations on floats",
        "xx 111 1 00 xx 1 xxxxx x xxx 00 xxxxx xxxxx",
        lse_float! {
            "000" "ldfadd" "stfadd" "ldbfadd" "stbfadd";
            "100" "ldfmax" "stfmax" "ldbfmax" "stbfmax";
            "101" "ldfmin" "stfmin" "ldbfmin" "stbfmin";
            "110" "ldfmaxnm" "stfmaxnm" "ldbfmaxnm" "stbfmaxnm";
            "111" "ldfminnm" "stfminnm" "ldbfminnm" "stbfminnm";
        },
    ),
    section(
        "Ordered pairs (FEAT_LRCPC3, FEAT_LSCP), and ordered with write-back",
        "1x 011001 xx 0 xxxxx xxxx 10 xxxxx xxxxx",
        &[
            row("1z 011001 00 0 uuuuu 0000 10 nnnnn ttttt", "stilp", &[R30(D), R30(M), BasePairStep]),
            row("1z 011001 00 0 uuuuu 0001 10 nnnnn ttttt", "stilp", &[R30(D), R30(M), Base]),
            row("11 011001 00 0 uuuuu 0101 10 nnnnn ttttt", "stlp", &[X(D), X(M), Base]),
            row("1z 011001 01 0 uuuuu 0000 10 nnnnn ttttt", "ldiapp", &[R30(D), R30(M), BasePairStep]),
            row("1z 011001 01 0 uuuuu 0001 10 nnnnn ttttt", "ldiapp", &[R30(D), R30(M), Base]),
            row("11 011001 01 0 uuuuu 0101 10 nnnnn ttttt", "ldap", &[X(D), X(M), Base]),
            row("11 011001 01 0 uuuuu 0111 10 nnnnn ttttt", "ldapp", &[X(D), X(M), Base]),
            row("1z 011001 10 0 00000 0000 10 nnnnn ttttt", "stlr", &[R30(D), BaseStep]),
            row("1z 011001 11 0 00000 0000 10 nnnnn ttttt", "ldapr", &[R30(D), BaseStep]),
        ],
    ),
    section(
        "Guarded control stack",
        "11 011001 00 0 11111 xxxx 11 xxxxx xxxxx",
        &[
            row("11 011001 00 0 11111 0000 11 nnnnn ttttt", "gcsstr", &[X(D), Base]),
            row("11 011001 00 0 11111 0001 11 nnnnn ttttt", "gcssttr", &[X(D), Base]),
        ],
    ),
];
