//! Vectors of different shapes: widening and narrowing, and operations with one element.

use super::super::op::Op::{
    HalfOfHalves, LaneM, LaneMcomplex, LaneMgroup, LaneMhalf, Rotate90, UpperHalf, V, Vec, Vq, Vsz, Vwide,
};
use super::super::op::field::{D, M, N};
use super::super::operand::FpSize::{B as Byte, H as Half, S as Single};
use super::super::operand::{Arrangement, Element, FpSize};
use super::super::rules::{lane_complex, lane_double};
use super::super::{Row, Section, row, section};
use super::{BHS, HS};

/// Narrow with narrow gives wide.
const fn long(picture: &str, name: &'static str, shapes: u8) -> Row {
    row(picture, name, &[UpperHalf, Vwide(D), V(N), V(M)]).size_q(shapes)
}

/// Wide with narrow gives wide.
const fn wide(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[UpperHalf, Vwide(D), Vwide(N), V(M)]).size_q(BHS)
}

/// Wide with wide gives narrow.
const fn narrow(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[UpperHalf, V(D), Vwide(N), Vwide(M)]).size_q(BHS)
}

/// An integer operation with an element.
const fn lane(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[V(D), V(N), LaneM]).size_q(HS)
}

/// A widening one.
const fn lane_long(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[UpperHalf, Vwide(D), V(N), LaneM]).size_q(HS)
}

/// A float operation with an element of 32 or 64 bits.
const fn lane_float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vsz(D), Vsz(N), LaneM]).when(lane_double)
}

/// The same of halves.
const fn lane_half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Half, D), Vq(Half, N), LaneMhalf])
}

/// Products of halves added to singles.
const fn lane_half_to_single(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Single, D), HalfOfHalves(N), LaneMhalf])
}

/// A dot product with four bytes.
const fn lane_dot(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Single, D), Vq(Byte, N), LaneMgroup(Element::FourB)])
}

const FULL_S: Arrangement = Arrangement { lanes: 4, size: FpSize::S };
const FULL_H: Arrangement = Arrangement { lanes: 8, size: FpSize::H };
const ONE_Q: Arrangement = Arrangement { lanes: 1, size: FpSize::Q };
const ONE_D: Arrangement = Arrangement { lanes: 1, size: FpSize::D };
const TWO_D: Arrangement = Arrangement { lanes: 2, size: FpSize::D };

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD three different",
        "0 x x 01110 xx 1 xxxxx xxxx 00 xxxxx xxxxx",
        &[
            long("0 q 0 01110 ss 1 mmmmm 0000 00 nnnnn ddddd", "saddl", BHS),
            wide("0 q 0 01110 ss 1 mmmmm 0001 00 nnnnn ddddd", "saddw"),
            long("0 q 0 01110 ss 1 mmmmm 0010 00 nnnnn ddddd", "ssubl", BHS),
            wide("0 q 0 01110 ss 1 mmmmm 0011 00 nnnnn ddddd", "ssubw"),
            narrow("0 q 0 01110 ss 1 mmmmm 0100 00 nnnnn ddddd", "addhn"),
            long("0 q 0 01110 ss 1 mmmmm 0101 00 nnnnn ddddd", "sabal", BHS),
            narrow("0 q 0 01110 ss 1 mmmmm 0110 00 nnnnn ddddd", "subhn"),
            long("0 q 0 01110 ss 1 mmmmm 0111 00 nnnnn ddddd", "sabdl", BHS),
            long("0 q 0 01110 ss 1 mmmmm 1000 00 nnnnn ddddd", "smlal", BHS),
            long("0 q 0 01110 ss 1 mmmmm 1001 00 nnnnn ddddd", "sqdmlal", HS),
            long("0 q 0 01110 ss 1 mmmmm 1010 00 nnnnn ddddd", "smlsl", BHS),
            long("0 q 0 01110 ss 1 mmmmm 1011 00 nnnnn ddddd", "sqdmlsl", HS),
            long("0 q 0 01110 ss 1 mmmmm 1100 00 nnnnn ddddd", "smull", BHS),
            long("0 q 0 01110 ss 1 mmmmm 1101 00 nnnnn ddddd", "sqdmull", HS),
            row(
                "0 q 0 01110 00 1 mmmmm 1110 00 nnnnn ddddd",
                "pmull",
                &[UpperHalf, Vec(FULL_H, D), Vq(Byte, N), Vq(Byte, M)],
            ),
            row(
                "0 0 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd",
                "pmull",
                &[Vec(ONE_Q, D), Vec(ONE_D, N), Vec(ONE_D, M)],
            ),
            row(
                "0 1 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd",
                "pmull2",
                &[Vec(ONE_Q, D), Vec(TWO_D, N), Vec(TWO_D, M)],
            ),
            long("0 q 1 01110 ss 1 mmmmm 0000 00 nnnnn ddddd", "uaddl", BHS),
            wide("0 q 1 01110 ss 1 mmmmm 0001 00 nnnnn ddddd", "uaddw"),
            long("0 q 1 01110 ss 1 mmmmm 0010 00 nnnnn ddddd", "usubl", BHS),
            wide("0 q 1 01110 ss 1 mmmmm 0011 00 nnnnn ddddd", "usubw"),
            narrow("0 q 1 01110 ss 1 mmmmm 0100 00 nnnnn ddddd", "raddhn"),
            long("0 q 1 01110 ss 1 mmmmm 0101 00 nnnnn ddddd", "uabal", BHS),
            narrow("0 q 1 01110 ss 1 mmmmm 0110 00 nnnnn ddddd", "rsubhn"),
            long("0 q 1 01110 ss 1 mmmmm 0111 00 nnnnn ddddd", "uabdl", BHS),
            long("0 q 1 01110 ss 1 mmmmm 1000 00 nnnnn ddddd", "umlal", BHS),
            long("0 q 1 01110 ss 1 mmmmm 1010 00 nnnnn ddddd", "umlsl", BHS),
            long("0 q 1 01110 ss 1 mmmmm 1100 00 nnnnn ddddd", "umull", BHS),
        ],
    ),
    section(
        "Advanced SIMD vector x indexed element",
        "0 x x 01111 xx xx xxxx xxxx x 0 xxxxx xxxxx",
        &[
            lane_half("0 q 0 01111 00 LM mmmm 0001 H 0 nnnnn ddddd", "fmla"),
            lane_long("0 q 0 01111 ss LM mmmm 0010 H 0 nnnnn ddddd", "smlal"),
            lane_long("0 q 0 01111 ss LM mmmm 0011 H 0 nnnnn ddddd", "sqdmlal"),
            lane_half("0 q 0 01111 00 LM mmmm 0101 H 0 nnnnn ddddd", "fmls"),
            lane_long("0 q 0 01111 ss LM mmmm 0110 H 0 nnnnn ddddd", "smlsl"),
            lane_long("0 q 0 01111 ss LM mmmm 0111 H 0 nnnnn ddddd", "sqdmlsl"),
            lane("0 q 0 01111 ss LM mmmm 1000 H 0 nnnnn ddddd", "mul"),
            lane_half("0 q 0 01111 00 LM mmmm 1001 H 0 nnnnn ddddd", "fmul"),
            lane_long("0 q 0 01111 ss LM mmmm 1010 H 0 nnnnn ddddd", "smull"),
            lane_long("0 q 0 01111 ss LM mmmm 1011 H 0 nnnnn ddddd", "sqdmull"),
            lane("0 q 0 01111 ss LM mmmm 1100 H 0 nnnnn ddddd", "sqdmulh"),
            lane("0 q 0 01111 ss LM mmmm 1101 H 0 nnnnn ddddd", "sqrdmulh"),
            lane_dot("0 q 0 01111 10 LM mmmm 1110 H 0 nnnnn ddddd", "sdot"),
            lane_dot("0 q 0 01111 00 LM mmmm 1111 H 0 nnnnn ddddd", "sudot"),
            row(
                "0 q 0 01111 01 LM mmmm 1111 H 0 nnnnn ddddd",
                "bfdot",
                &[Vq(Single, D), Vq(Half, N), LaneMgroup(Element::TwoH)],
            ),
            lane_dot("0 q 0 01111 10 LM mmmm 1111 H 0 nnnnn ddddd", "usdot"),
            row(
                "0 0 0 01111 11 LM mmmm 1111 H 0 nnnnn ddddd",
                "bfmlalb",
                &[Vec(FULL_S, D), Vec(FULL_H, N), LaneMhalf],
            ),
            row(
                "0 1 0 01111 11 LM mmmm 1111 H 0 nnnnn ddddd",
                "bfmlalt",
                &[Vec(FULL_S, D), Vec(FULL_H, N), LaneMhalf],
            ),
            lane_half_to_single("0 q 0 01111 10 LM mmmm 0000 H 0 nnnnn ddddd", "fmlal"),
            lane_float("0 q 0 01111 1z LM mmmm 0001 H 0 nnnnn ddddd", "fmla"),
            lane_half_to_single("0 q 0 01111 10 LM mmmm 0100 H 0 nnnnn ddddd", "fmlsl"),
            lane_float("0 q 0 01111 1z LM mmmm 0101 H 0 nnnnn ddddd", "fmls"),
            lane_float("0 q 0 01111 1z LM mmmm 1001 H 0 nnnnn ddddd", "fmul"),
            lane("0 q 1 01111 ss LM mmmm 0000 H 0 nnnnn ddddd", "mla"),
            row(
                "0 q 1 01111 ss LM mmmm 0rr1 H 0 nnnnn ddddd",
                "fcmla",
                &[V(D), V(N), LaneMcomplex, Rotate90(13, 2)],
            )
            .when(lane_complex),
            lane_long("0 q 1 01111 ss LM mmmm 0010 H 0 nnnnn ddddd", "umlal"),
            lane("0 q 1 01111 ss LM mmmm 0100 H 0 nnnnn ddddd", "mls"),
            lane_long("0 q 1 01111 ss LM mmmm 0110 H 0 nnnnn ddddd", "umlsl"),
            lane_half("0 q 1 01111 00 LM mmmm 1001 H 0 nnnnn ddddd", "fmulx"),
            lane_long("0 q 1 01111 ss LM mmmm 1010 H 0 nnnnn ddddd", "umull"),
            lane("0 q 1 01111 ss LM mmmm 1101 H 0 nnnnn ddddd", "sqrdmlah"),
            lane_dot("0 q 1 01111 10 LM mmmm 1110 H 0 nnnnn ddddd", "udot"),
            lane("0 q 1 01111 ss LM mmmm 1111 H 0 nnnnn ddddd", "sqrdmlsh"),
            lane_half_to_single("0 q 1 01111 10 LM mmmm 1000 H 0 nnnnn ddddd", "fmlal2"),
            lane_float("0 q 1 01111 1z LM mmmm 1001 H 0 nnnnn ddddd", "fmulx"),
            lane_half_to_single("0 q 1 01111 10 LM mmmm 1100 H 0 nnnnn ddddd", "fmlsl2"),
        ],
    ),
];
