# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, archives, the CMake package and pkg-config files. Only for a build of
# healthtel itself: a project that took it in by add_subdirectory installs what it likes.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
include(CMakePackageConfigHelpers)

set(components)  # ports that were built, as components of the package
set(targets healthtel)
foreach(name nanopb zlib) # built from sources, or a name for ZLIB::ZLIB
  if(TARGET healthtel_${name})
    list(APPEND targets healthtel_${name})
  endif()
endforeach()
foreach(port posix mbedtls paho mqtt dial tls_transport)
  if(TARGET healthtel_${port})
    list(APPEND components ${port})
    list(APPEND targets healthtel_${port})
    set_target_properties(healthtel_${port} PROPERTIES EXPORT_NAME ${port})
    # A port's public headers are those with the library's prefix, and what they include.
    if(NOT IS_DIRECTORY ${PROJECT_SOURCE_DIR}/ports/${port})
      continue() # tls_transport lies with mbedtls
    endif()
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/ports/${port}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
      FILES_MATCHING PATTERN "htel_*.h" PATTERN "mqtt_packet.h")
  endif()
endforeach()

install(DIRECTORY include/healthtel DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(TARGETS ${targets} EXPORT healthtel ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- CMake: find_package(healthtel COMPONENTS posix paho) --------------------------------

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/healthtel)
set(HEALTHTEL_NANOPB_IMPORTED TRUE)
if(TARGET healthtel_nanopb)
  set(HEALTHTEL_NANOPB_IMPORTED FALSE)
endif()
set(HEALTHTEL_ZLIB_IMPORTED FALSE)
if(HEALTHTEL_ZLIB AND NOT CMAKE_CROSSCOMPILING)
  set(HEALTHTEL_ZLIB_IMPORTED TRUE)
endif()
set(HEALTHTEL_COMPONENTS ${components})
list(JOIN components " " HEALTHTEL_COMPONENTS_TEXT)
install(EXPORT healthtel NAMESPACE healthtel:: FILE healthtelTargets.cmake DESTINATION ${package})
configure_package_config_file(ports/cmake/healthtelConfig.cmake.in
  ${PROJECT_BINARY_DIR}/healthtelConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/healthtelConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/healthtelConfig.cmake
  ${PROJECT_BINARY_DIR}/healthtelConfigVersion.cmake DESTINATION ${package})

# ---- pkg-config: pkg-config --cflags --libs healthtel-paho ------------------------

# The libraries are archives only: what they need is wanted on every command line, so it stands
# under Requires and Libs, not under the .private ones that need --static to be seen.
set(pkgconfig ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH HEALTHTEL_PC_UP /prefix/${pkgconfig} /prefix)
string(REGEX REPLACE "/$" "" HEALTHTEL_PC_UP "${HEALTHTEL_PC_UP}")
function(healthtel_pc name description requires libs)
  configure_file(ports/cmake/healthtel.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig})
endfunction()

set(core_libs -lhealthtel)
set(core_requires)
if(HEALTHTEL_NANOPB_IMPORTED)
  string(APPEND core_libs " -lprotobuf-nanopb")
else()
  string(APPEND core_libs " -lhealthtel_nanopb")
endif()
if(HEALTHTEL_ZLIB_IMPORTED)
  set(core_requires zlib)
elseif(HEALTHTEL_ZLIB)
  string(APPEND core_libs " -lhealthtel_zlib")
endif()
healthtel_pc(healthtel "Vitals telemetry for medical devices: the core" "${core_requires}"
  "${core_libs}")
set(description_posix "healthtel on Linux: clock, random bytes, boot counter, runner, sockets")
set(requires_posix "healthtel")
set(libs_posix "-lhealthtel_posix -pthread")
set(description_mbedtls "healthtel's TLS client over mbedTLS")
set(requires_mbedtls "healthtel")
set(libs_mbedtls "-lhealthtel_mbedtls -lmbedtls -lmbedx509 -lmbedcrypto")
set(description_paho "healthtel's MQTT link over paho.mqtt.c")
set(requires_paho "healthtel-posix healthtel-mbedtls")
set(libs_paho "-lhealthtel_paho -lpaho-mqtt3a")
set(description_mqtt "healthtel's own MQTT link over any byte stream")
set(requires_mqtt "healthtel")
set(libs_mqtt "-lhealthtel_mqtt")
set(description_dial "Name, TCP and TLS to a broker on Linux, for healthtel's own MQTT link")
set(requires_dial "healthtel-posix healthtel-mbedtls healthtel-mqtt")
set(libs_dial "-lhealthtel_dial")
set(description_tls_transport "TLS around any transport of healthtel's own MQTT link")
set(requires_tls_transport "healthtel-mbedtls healthtel-mqtt")
set(libs_tls_transport "-lhealthtel_tls_transport")
foreach(port ${components})
  healthtel_pc(healthtel-${port} "${description_${port}}" "${requires_${port}}" "${libs_${port}}")
endforeach()
