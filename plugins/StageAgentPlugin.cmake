# stage_agent_add_plugin(NAME [FOLDER folder] [SOURCES file…] [LIBRARIES target…]
#                        [DESTINATION folder])
# Creates the plugin folder DESTINATION/NAME (default: bin/plugins/NAME of the build): the files of FOLDER and, if
# there are SOURCES, the library NAME.so. FOLDER defaults to plugins/NAME here; in other projects, to the current
# folder.
#
# In a project outside this tree, with the package stage-agent-dev:
#     find_package(StageAgentPlugin REQUIRED)     # else: include(/path/to/StageAgentPlugin.cmake)
#     stage_agent_add_plugin(greet SOURCES Greet.cpp)
# The header is found in this source tree or the installed package; else set STAGE_AGENT_INCLUDE_DIR.
find_package(Poco REQUIRED COMPONENTS Foundation)
find_path(STAGE_AGENT_INCLUDE_DIR agent/plugin/StagePlugin.h
    HINTS ${CMAKE_CURRENT_LIST_DIR}/..
          ${CMAKE_CURRENT_LIST_DIR}/../../../include/stage-agent
          ${CMAKE_CURRENT_LIST_DIR}/../../include/stage-agent
    REQUIRED)

function(stage_agent_add_plugin name)
    cmake_parse_arguments(PLUGIN "" "FOLDER;DESTINATION" "SOURCES;LIBRARIES" ${ARGN})
    if(PLUGIN_FOLDER)
        get_filename_component(source ${PLUGIN_FOLDER} ABSOLUTE)
    elseif(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/plugins/${name}/plugin.yaml)
        set(source ${CMAKE_CURRENT_SOURCE_DIR}/plugins/${name})
    else()
        set(source ${CMAKE_CURRENT_SOURCE_DIR})
    endif()
    if(NOT EXISTS ${source}/plugin.yaml)
        message(FATAL_ERROR "stage_agent_add_plugin(${name}): no plugin.yaml in ${source}")
    endif()
    if(PLUGIN_DESTINATION)
        set(target ${PLUGIN_DESTINATION}/${name})
    elseif(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
        set(target ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/plugins/${name})
    else()
        set(target ${CMAKE_BINARY_DIR}/bin/plugins/${name})
    endif()

    file(GLOB files CONFIGURE_DEPENDS LIST_DIRECTORIES false RELATIVE ${source} ${source}/*)
    list(FILTER files EXCLUDE REGEX "\\.(cpp|h|cmake)$|^CMake")
    set(copies "")
    foreach(file IN LISTS files)
        add_custom_command(OUTPUT ${target}/${file}
            COMMAND ${CMAKE_COMMAND} -E copy ${source}/${file} ${target}/${file}
            DEPENDS ${source}/${file} VERBATIM)
        list(APPEND copies ${target}/${file})
    endforeach()
    add_custom_target(plugin-${name}-files ALL DEPENDS ${copies})

    if(PLUGIN_SOURCES)
        add_library(plugin-${name} MODULE ${PLUGIN_SOURCES})
        # Poco 1.11 loads RTLD_GLOBAL: without hidden visibility two plugins with a class of the same
        # name would silently run the first one's code.
        set_target_properties(plugin-${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
            CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
            LIBRARY_OUTPUT_DIRECTORY ${target})
        target_compile_features(plugin-${name} PRIVATE cxx_std_20)
        target_include_directories(plugin-${name} PRIVATE ${STAGE_AGENT_INCLUDE_DIR})
        target_link_libraries(plugin-${name} PRIVATE Poco::Foundation ${PLUGIN_LIBRARIES})
        add_dependencies(plugin-${name} plugin-${name}-files)
    endif()
endfunction()
