/* SPDX-License-Identifier: Apache-2.0 */
/* codes.h - nomenclature of vital signs: what a channel measures and in which unit.
 *
 * HTEL_MDC_*: ISO/IEEE 11073-10101 codes as 32-bit context-free values (partition * 65536 + term),
 * as used in HL7 and Bluetooth health profiles. Where one source alone, or third-party code, gives
 * a value the line above it says so: confirm it against the NIST RTMMS before relying on it.
 * HTEL_UNIT_*: UCUM case-sensitive strings (https://ucum.org). The LOINC code that clouds commonly
 * map a channel to stands there too; it does not travel. */
#ifndef HEALTHTEL_CODES_H
#define HEALTHTEL_CODES_H

/* UCUM /min; LOINC 8867-4; source: HL7 uv-pocd examples; MII intensivmedizin */
#define HTEL_MDC_HEART_RATE 147842u
/* UCUM /min; LOINC 8867-4; source: HL7 phd examples; hl7dk dk-core */
#define HTEL_MDC_PULSE_RATE_OXIMETER 149530u
/* UCUM /min; LOINC 8867-4; source: HL7 phd examples */
#define HTEL_MDC_PULSE_RATE_NONINVASIVE 149546u
/* UCUM %; LOINC 59408-5 and 2708-6; source: hl7dk dk-core; US-Core */
#define HTEL_MDC_SPO2 150456u
/* UCUM /min; LOINC 9279-1; source: hl7dk dk-core; MII */
#define HTEL_MDC_RESPIRATION_RATE 151562u
/* LOINC 85354-9; source: HL7 uv-pocd examples */
#define HTEL_MDC_NIBP_PANEL 150020u
/* UCUM mm[Hg]; LOINC 8480-6; source: HL7 uv-pocd examples */
#define HTEL_MDC_NIBP_SYSTOLIC 150021u
/* UCUM mm[Hg]; LOINC 8462-4; source: HL7 uv-pocd examples */
#define HTEL_MDC_NIBP_DIASTOLIC 150022u
/* UCUM mm[Hg]; LOINC 8478-0; source: HL7 uv-pocd examples */
#define HTEL_MDC_NIBP_MEAN 150023u
/* UCUM mm[Hg]; LOINC 76215-3; source: GE B40 manual; FHIR R6 value sets (LOINC pairing to be
 * confirmed) */
#define HTEL_MDC_ARTERIAL_SYSTOLIC 150033u
/* UCUM mm[Hg]; LOINC 76213-8; source: GE B40 manual; FHIR R6 value sets (LOINC pairing to be
 * confirmed) */
#define HTEL_MDC_ARTERIAL_DIASTOLIC 150034u
/* UCUM mm[Hg]; source: GE B40 manual */
#define HTEL_MDC_ARTERIAL_MEAN 150035u
/* UCUM Cel; LOINC 8310-5; source: HL7 phd examples; hl7dk dk-core */
#define HTEL_MDC_BODY_TEMPERATURE 150364u
/* UCUM Cel; LOINC 8329-5; source: MII intensivmedizin */
#define HTEL_MDC_BODY_TEMPERATURE_CORE 150368u
/* UCUM mm[Hg]; LOINC 19891-1; source: MII intensivmedizin */
#define HTEL_MDC_ETCO2 151708u
/* UCUM mg/dL; LOINC 41653-7; source: HL7 phd examples; IHE mPSC */
#define HTEL_MDC_GLUCOSE_CAPILLARY 160184u
/* UCUM kg; LOINC 29463-7; source: hl7dk dk-core; MII */
#define HTEL_MDC_BODY_WEIGHT 188736u
/* UCUM %; source: HL7 phd examples */
#define HTEL_MDC_BATTERY 67996u
/* UCUM mV; source: HL7 uv-pocd examples */
#define HTEL_MDC_ECG_LEAD_I 131329u
/* UCUM mV; source: HL7 uv-pocd examples */
#define HTEL_MDC_ECG_LEAD_II 131330u
/* UCUM mV; source: HL7 uv-pocd examples */
#define HTEL_MDC_ECG_LEAD_III 131389u
/* UCUM mV; source: consistent across third-party code (confirm against NIST RTMMS) */
#define HTEL_MDC_ECG_LEAD_V1 131331u
/* UCUM 1; source: HL7 phd examples */
#define HTEL_MDC_PLETH 150452u
/* source: Mindray HL7 sample; single source */
#define HTEL_MDC_RESPIRATION_WAVEFORM 151780u

/* A private code for signals without one above: partition 1024 is left to manufacturers (ISO/IEEE
 * 11073-10101). `term` is 0xF000 to 0xFFFF. */
#define HTEL_MDC_PRIVATE(term) (1024u * 65536u + (term))

#define HTEL_UNIT_ONE "1"
#define HTEL_UNIT_PERCENT "%"
#define HTEL_UNIT_PER_MIN "/min"
#define HTEL_UNIT_MMHG "mm[Hg]"
#define HTEL_UNIT_MV "mV"
#define HTEL_UNIT_CELSIUS "Cel"
#define HTEL_UNIT_MG_PER_DL "mg/dL"
#define HTEL_UNIT_KG "kg"
#define HTEL_UNIT_G "[g]" /* standard gravity, for accelerometers */

#endif
