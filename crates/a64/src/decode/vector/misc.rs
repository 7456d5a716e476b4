//! Operations on one vector, and across its elements.

use super::super::op::Op::{
    F, FloatZero, Fsize, FsizeWide, ShiftWhole, UpperHalf, V, Vec, VpairWide, Vq, Vsz, VszHalf, VszWide,
    Vwide, Zero,
};
use super::super::op::field::{D, N};
use super::super::operand::FpSize::{B as Byte, H as Half, S as Single};
use super::super::operand::{Arrangement, FpSize};
use super::super::rules::doubles_full;
use super::super::{Row, Section, row, section};
use super::{ACROSS, ANY, B, BH, BHS};

/// An integer operation.
const fn int(picture: &str, name: &'static str, shapes: u8) -> Row {
    row(picture, name, &[V(D), V(N)]).size_q(shapes)
}

/// A comparison with zero.
const fn zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[V(D), V(N), Zero]).size_q(ANY)
}

/// Pairs are added: half as many elements of twice the size.
const fn pairwise(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[VpairWide(D), V(N)]).size_q(BHS)
}

/// Wide gives narrow.
const fn narrow(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[UpperHalf, V(D), Vwide(N)]).size_q(BHS)
}

/// A float operation, single or double.
const fn float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vsz(D), Vsz(N)]).when(doubles_full)
}

/// A comparison with zero.
const fn float_zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vsz(D), Vsz(N), FloatZero]).when(doubles_full)
}

/// A float operation on halves.
const fn half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Half, D), Vq(Half, N)])
}

/// A comparison with zero.
const fn half_zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Half, D), Vq(Half, N), FloatZero])
}

/// A reduction of integers.
const fn across(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsize(D), V(N)]).size_q(ACROSS)
}

/// A reduction to twice the size.
const fn across_long(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[FsizeWide(D), V(N)]).size_q(ACROSS)
}

const FULL_S: Arrangement = Arrangement { lanes: 4, size: FpSize::S };
const FULL_D: Arrangement = Arrangement { lanes: 2, size: FpSize::D };

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD two-register miscellaneous",
        "0 x x 01110 xx 10000 xxxxx 10 xxxxx xxxxx",
        &[
            int("0 q 0 01110 ss 10000 00000 10 nnnnn ddddd", "rev64", BHS),
            int("0 q 0 01110 ss 10000 00001 10 nnnnn ddddd", "rev16", B),
            pairwise("0 q 0 01110 ss 10000 00010 10 nnnnn ddddd", "saddlp"),
            int("0 q 0 01110 ss 10000 00011 10 nnnnn ddddd", "suqadd", ANY),
            int("0 q 0 01110 ss 10000 00100 10 nnnnn ddddd", "cls", BHS),
            int("0 q 0 01110 ss 10000 00101 10 nnnnn ddddd", "cnt", B),
            pairwise("0 q 0 01110 ss 10000 00110 10 nnnnn ddddd", "sadalp"),
            int("0 q 0 01110 ss 10000 00111 10 nnnnn ddddd", "sqabs", ANY),
            zero("0 q 0 01110 ss 10000 01000 10 nnnnn ddddd", "cmgt"),
            zero("0 q 0 01110 ss 10000 01001 10 nnnnn ddddd", "cmeq"),
            zero("0 q 0 01110 ss 10000 01010 10 nnnnn ddddd", "cmlt"),
            int("0 q 0 01110 ss 10000 01011 10 nnnnn ddddd", "abs", ANY),
            narrow("0 q 0 01110 ss 10000 10010 10 nnnnn ddddd", "xtn"),
            narrow("0 q 0 01110 ss 10000 10100 10 nnnnn ddddd", "sqxtn"),
            row("0 q 0 01110 0z 10000 10110 10 nnnnn ddddd", "fcvtn", &[UpperHalf, VszHalf(D), VszWide(N)]),
            row("0 q 0 01110 0z 10000 10111 10 nnnnn ddddd", "fcvtl", &[UpperHalf, VszWide(D), VszHalf(N)]),
            float("0 q 0 01110 0z 10000 11000 10 nnnnn ddddd", "frintn"),
            float("0 q 0 01110 0z 10000 11001 10 nnnnn ddddd", "frintm"),
            float("0 q 0 01110 0z 10000 11010 10 nnnnn ddddd", "fcvtns"),
            float("0 q 0 01110 0z 10000 11011 10 nnnnn ddddd", "fcvtms"),
            float("0 q 0 01110 0z 10000 11100 10 nnnnn ddddd", "fcvtas"),
            float("0 q 0 01110 0z 10000 11101 10 nnnnn ddddd", "scvtf"),
            float("0 q 0 01110 0z 10000 11110 10 nnnnn ddddd", "frint32z"),
            float("0 q 0 01110 0z 10000 11111 10 nnnnn ddddd", "frint64z"),
            float_zero("0 q 0 01110 1z 10000 01100 10 nnnnn ddddd", "fcmgt"),
            float_zero("0 q 0 01110 1z 10000 01101 10 nnnnn ddddd", "fcmeq"),
            float_zero("0 q 0 01110 1z 10000 01110 10 nnnnn ddddd", "fcmlt"),
            float("0 q 0 01110 1z 10000 01111 10 nnnnn ddddd", "fabs"),
            row(
                "0 q 0 01110 10 10000 10110 10 nnnnn ddddd",
                "bfcvtn",
                &[UpperHalf, Vq(Half, D), Vec(FULL_S, N)],
            ),
            float("0 q 0 01110 1z 10000 11000 10 nnnnn ddddd", "frintp"),
            float("0 q 0 01110 1z 10000 11001 10 nnnnn ddddd", "frintz"),
            float("0 q 0 01110 1z 10000 11010 10 nnnnn ddddd", "fcvtps"),
            float("0 q 0 01110 1z 10000 11011 10 nnnnn ddddd", "fcvtzs"),
            row("0 q 0 01110 10 10000 11100 10 nnnnn ddddd", "urecpe", &[Vq(Single, D), Vq(Single, N)]),
            float("0 q 0 01110 1z 10000 11101 10 nnnnn ddddd", "frecpe"),
            int("0 q 1 01110 ss 10000 00000 10 nnnnn ddddd", "rev32", BH),
            pairwise("0 q 1 01110 ss 10000 00010 10 nnnnn ddddd", "uaddlp"),
            int("0 q 1 01110 ss 10000 00011 10 nnnnn ddddd", "usqadd", ANY),
            int("0 q 1 01110 ss 10000 00100 10 nnnnn ddddd", "clz", BHS),
            row("0 q 1 01110 00 10000 00101 10 nnnnn ddddd", "not", &[Vq(Byte, D), Vq(Byte, N)]),
            row("0 q 1 01110 01 10000 00101 10 nnnnn ddddd", "rbit", &[Vq(Byte, D), Vq(Byte, N)]),
            pairwise("0 q 1 01110 ss 10000 00110 10 nnnnn ddddd", "uadalp"),
            int("0 q 1 01110 ss 10000 00111 10 nnnnn ddddd", "sqneg", ANY),
            zero("0 q 1 01110 ss 10000 01000 10 nnnnn ddddd", "cmge"),
            zero("0 q 1 01110 ss 10000 01001 10 nnnnn ddddd", "cmle"),
            int("0 q 1 01110 ss 10000 01011 10 nnnnn ddddd", "neg", ANY),
            narrow("0 q 1 01110 ss 10000 10010 10 nnnnn ddddd", "sqxtun"),
            row(
                "0 q 1 01110 ss 10000 10011 10 nnnnn ddddd",
                "shll",
                &[UpperHalf, Vwide(D), V(N), ShiftWhole],
            )
            .size_q(BHS),
            narrow("0 q 1 01110 ss 10000 10100 10 nnnnn ddddd", "uqxtn"),
            row(
                "0 q 1 01110 01 10000 10110 10 nnnnn ddddd",
                "fcvtxn",
                &[UpperHalf, Vq(Single, D), Vec(FULL_D, N)],
            ),
            float("0 q 1 01110 0z 10000 11000 10 nnnnn ddddd", "frinta"),
            float("0 q 1 01110 0z 10000 11001 10 nnnnn ddddd", "frintx"),
            float("0 q 1 01110 0z 10000 11010 10 nnnnn ddddd", "fcvtnu"),
            float("0 q 1 01110 0z 10000 11011 10 nnnnn ddddd", "fcvtmu"),
            float("0 q 1 01110 0z 10000 11100 10 nnnnn ddddd", "fcvtau"),
            float("0 q 1 01110 0z 10000 11101 10 nnnnn ddddd", "ucvtf"),
            float("0 q 1 01110 0z 10000 11110 10 nnnnn ddddd", "frint32x"),
            float("0 q 1 01110 0z 10000 11111 10 nnnnn ddddd", "frint64x"),
            float_zero("0 q 1 01110 1z 10000 01100 10 nnnnn ddddd", "fcmge"),
            float_zero("0 q 1 01110 1z 10000 01101 10 nnnnn ddddd", "fcmle"),
            float("0 q 1 01110 1z 10000 01111 10 nnnnn ddddd", "fneg"),
            float("0 q 1 01110 1z 10000 11001 10 nnnnn ddddd", "frinti"),
            float("0 q 1 01110 1z 10000 11010 10 nnnnn ddddd", "fcvtpu"),
            float("0 q 1 01110 1z 10000 11011 10 nnnnn ddddd", "fcvtzu"),
            row("0 q 1 01110 10 10000 11100 10 nnnnn ddddd", "ursqrte", &[Vq(Single, D), Vq(Single, N)]),
            float("0 q 1 01110 1z 10000 11101 10 nnnnn ddddd", "frsqrte"),
            float("0 q 1 01110 1z 10000 11111 10 nnnnn ddddd", "fsqrt"),
        ],
    )
    .aliases(&[row("0 q 1 01110 00 10000 00101 10 nnnnn ddddd", "mvn", &[Vq(Byte, D), Vq(Byte, N)])]),
    section(
        "Advanced SIMD two-register miscellaneous (FP16)",
        "0 x x 01110 x 111100 xxxxx 10 xxxxx xxxxx",
        &[
            half("0 q 0 01110 0 111100 11000 10 nnnnn ddddd", "frintn"),
            half("0 q 0 01110 0 111100 11001 10 nnnnn ddddd", "frintm"),
            half("0 q 0 01110 0 111100 11010 10 nnnnn ddddd", "fcvtns"),
            half("0 q 0 01110 0 111100 11011 10 nnnnn ddddd", "fcvtms"),
            half("0 q 0 01110 0 111100 11100 10 nnnnn ddddd", "fcvtas"),
            half("0 q 0 01110 0 111100 11101 10 nnnnn ddddd", "scvtf"),
            half_zero("0 q 0 01110 1 111100 01100 10 nnnnn ddddd", "fcmgt"),
            half_zero("0 q 0 01110 1 111100 01101 10 nnnnn ddddd", "fcmeq"),
            half_zero("0 q 0 01110 1 111100 01110 10 nnnnn ddddd", "fcmlt"),
            half("0 q 0 01110 1 111100 01111 10 nnnnn ddddd", "fabs"),
            half("0 q 0 01110 1 111100 11000 10 nnnnn ddddd", "frintp"),
            half("0 q 0 01110 1 111100 11001 10 nnnnn ddddd", "frintz"),
            half("0 q 0 01110 1 111100 11010 10 nnnnn ddddd", "fcvtps"),
            half("0 q 0 01110 1 111100 11011 10 nnnnn ddddd", "fcvtzs"),
            half("0 q 0 01110 1 111100 11101 10 nnnnn ddddd", "frecpe"),
            half("0 q 1 01110 0 111100 11000 10 nnnnn ddddd", "frinta"),
            half("0 q 1 01110 0 111100 11001 10 nnnnn ddddd", "frintx"),
            half("0 q 1 01110 0 111100 11010 10 nnnnn ddddd", "fcvtnu"),
            half("0 q 1 01110 0 111100 11011 10 nnnnn ddddd", "fcvtmu"),
            half("0 q 1 01110 0 111100 11100 10 nnnnn ddddd", "fcvtau"),
            half("0 q 1 01110 0 111100 11101 10 nnnnn ddddd", "ucvtf"),
            half_zero("0 q 1 01110 1 111100 01100 10 nnnnn ddddd", "fcmge"),
            half_zero("0 q 1 01110 1 111100 01101 10 nnnnn ddddd", "fcmle"),
            half("0 q 1 01110 1 111100 01111 10 nnnnn ddddd", "fneg"),
            half("0 q 1 01110 1 111100 11001 10 nnnnn ddddd", "frinti"),
            half("0 q 1 01110 1 111100 11010 10 nnnnn ddddd", "fcvtpu"),
            half("0 q 1 01110 1 111100 11011 10 nnnnn ddddd", "fcvtzu"),
            half("0 q 1 01110 1 111100 11101 10 nnnnn ddddd", "frsqrte"),
            half("0 q 1 01110 1 111100 11111 10 nnnnn ddddd", "fsqrt"),
        ],
    ),
    section(
        "Advanced SIMD across lanes",
        "0 x x 01110 xx 11000 xxxxx 10 xxxxx xxxxx",
        &[
            across_long("0 q 0 01110 ss 11000 00011 10 nnnnn ddddd", "saddlv"),
            across("0 q 0 01110 ss 11000 01010 10 nnnnn ddddd", "smaxv"),
            across("0 q 0 01110 ss 11000 11010 10 nnnnn ddddd", "sminv"),
            across("0 q 0 01110 ss 11000 11011 10 nnnnn ddddd", "addv"),
            row("0 q 0 01110 00 11000 01100 10 nnnnn ddddd", "fmaxnmv", &[F(Half, D), Vq(Half, N)]),
            row("0 q 0 01110 00 11000 01111 10 nnnnn ddddd", "fmaxv", &[F(Half, D), Vq(Half, N)]),
            row("0 q 0 01110 10 11000 01100 10 nnnnn ddddd", "fminnmv", &[F(Half, D), Vq(Half, N)]),
            row("0 q 0 01110 10 11000 01111 10 nnnnn ddddd", "fminv", &[F(Half, D), Vq(Half, N)]),
            across_long("0 q 1 01110 ss 11000 00011 10 nnnnn ddddd", "uaddlv"),
            across("0 q 1 01110 ss 11000 01010 10 nnnnn ddddd", "umaxv"),
            across("0 q 1 01110 ss 11000 11010 10 nnnnn ddddd", "uminv"),
            row("0 1 1 01110 00 11000 01100 10 nnnnn ddddd", "fmaxnmv", &[F(Single, D), Vec(FULL_S, N)]),
            row("0 1 1 01110 00 11000 01111 10 nnnnn ddddd", "fmaxv", &[F(Single, D), Vec(FULL_S, N)]),
            row("0 1 1 01110 10 11000 01100 10 nnnnn ddddd", "fminnmv", &[F(Single, D), Vec(FULL_S, N)]),
            row("0 1 1 01110 10 11000 01111 10 nnnnn ddddd", "fminv", &[F(Single, D), Vec(FULL_S, N)]),
        ],
    ),
];
