# SPDX-License-Identifier: Apache-2.0
# Who is spoken to and who is not, and by which clock.
link_test(tls 180 link tsan)
target_sources(test_tls PRIVATE tls_servers.c)
link_test(tls_matrix 240 link tsan)
target_sources(test_tls_matrix PRIVATE tls_servers.c)
link_test(tls_clock 120 link tsan)
target_link_options(test_tls_clock PRIVATE LINKER:--wrap=clock_gettime)
