# SPDX-License-Identifier: Apache-2.0
# What simulated devices measure, and the oracle that judges what was stored of it.
htel_sim_test(signal)
htel_sim_test(spans)
htel_sim_test(oracle oracle_fixture.c)
htel_sim_test(oracle_cuts oracle_fixture.c)
htel_sim_test(oracle_time oracle_fixture.c)
