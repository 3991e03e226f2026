# SPDX-License-Identifier: Apache-2.0
# The network and the broker of the simulated platform.
htel_sim_test(sim_net sim_world.c)
htel_sim_test(sim_broker sim_client.c)
