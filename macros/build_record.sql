{# The warehouse's own record of its builds: who changed its tables, whether that came to its end,
   and what every table held then. Publishing holds it against dbt's artifacts and against
   the tables: what a killed build or a hand changed since is not what was tested.

   dbt_project.yml calls both as hooks. `dbt test` and what else changes no table is not recorded. #}
{% macro begin_build() -%}
    {%- if execute -%}
        {%- do adapter.dispatch('refuse_another_warehouse', 'tally')() -%}
    {%- endif -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'seed', 'snapshot'] -%}
        {%- do adapter.dispatch('begin_build', 'tally')() -%}
    {%- endif -%}
{%- endmacro %}

{% macro end_build(results) -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'seed', 'snapshot'] -%}
        {%- do adapter.dispatch('end_build', 'tally')(
            is_whole_and_passed=build_is_whole(invocation_args_dict)
            and build_passed(results | map(attribute='status') | list)
        ) -%}
    {%- endif -%}
{%- endmacro %}

{# A condition of tests that fail where something is not there: with `--empty`, dbt reads no row, and
   none is missed. #}
{% macro rows_are_read() -%}
    {{ '1 = 0' if flags.EMPTY else '1 = 1' }}
{%- endmacro %}

{# Whether a command builds and tests the whole project, which alone can be published. #}
{% macro build_is_whole(arguments) -%}
    {{- return(
        arguments.which == 'build' and not arguments.get('select') and not arguments.get('exclude')
        and not arguments.get('selector') and not arguments.get('empty')
    ) -}}
{%- endmacro %}

{# Whether everything passed; a warning is not a pass. #}
{% macro build_passed(statuses) -%}
    {{- return(statuses | reject('in', ['success', 'pass', 'no-op']) | list | length == 0) -}}
{%- endmacro %}

{% macro default__refuse_another_warehouse() -%}
{%- endmacro %}

{# A path in profiles.yml is one from the current folder, which is another project's where
   `--project-dir` is given: its warehouse would be overwritten. #}
{% macro duckdb__refuse_another_warehouse() -%}
    {%- set file = run_query(
        'select path from duckdb_databases() where database_name = ' ~ quoted(target.database)
    ).rows[0][0] -%}
    {%- set fault = warehouse_fault(
        target.path, file, invocation_args_dict.get('project_dir')
    ) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error(fault) }}
    {%- endif -%}
{%- endmacro %}

{# What is wrong with where the warehouse is, or nothing. #}
{% macro warehouse_fault(path, file, project_dir) -%}
    {%- if file and not path.startswith('/') and project_dir not in [none, '.', './']
        and file != project_dir ~ '/' ~ path -%}
        {{- return(
            'warehouse: expected ' ~ project_dir ~ '/' ~ path ~ ', of the project that is built, found '
            ~ file ~ '; nothing was built: change into the folder of the project, or set'
            ~ ' TALLY_WAREHOUSE to an absolute path'
        ) -}}
    {%- endif -%}
{%- endmacro %}

{# Publishing reads DuckDB files alone. #}
{% macro default__begin_build() -%}
{%- endmacro %}

{% macro default__end_build(is_whole_and_passed) -%}
{%- endmacro %}

{% macro duckdb__begin_build() -%}
    {%- do run_query('create schema if not exists builds') -%}
    {%- do run_query(
        'create table if not exists builds.builds ('
        ~ 'build_number bigint not null, dbt_invocation_id varchar not null,'
        ~ ' dbt_command varchar not null, dlt_load_ids varchar[] not null,'
        ~ ' began_at timestamptz not null, ended_at timestamptz)'
    ) -%}
    {%- do refuse_an_earlier_clock() -%}
    {%- set loads = '(' ~ build_loads() ~ ')' -%}
    {#- The tables are not what a build before has tested any more. -#}
    {%- do run_query(
        'create or replace table builds.build_tables ('
        ~ 'build_number bigint not null, table_schema varchar not null,'
        ~ ' table_name varchar not null, row_count bigint not null, checksum varchar not null,'
        ~ ' table_columns varchar[] not null)'
    ) -%}
    {%- do run_query(
        "insert into builds.builds select (select coalesce(max(build_number), 0) + 1 from builds.builds), '"
        ~ invocation_id ~ "', '" ~ flags.WHICH
        ~ "', (select coalesce(list(load_id order by load_id), []) from " ~ loads ~ '), now(), null'
    ) -%}
{%- endmacro %}

{% macro duckdb__end_build(is_whole_and_passed) -%}
    {%- if is_whole_and_passed -%}
        {%- set held = [] -%}
        {%- for schema, name in run_query(
            'select schema_name, table_name from duckdb_tables()'
            ~ ' where database_name = ' ~ quoted(target.database)
            ~ " and not temporary and schema_name not in ('builds', 'test_failures') order by all"
        ).rows -%}
            {%- do held.append(
                'select ' ~ quoted(schema) ~ ', ' ~ quoted(name) ~ ', count(*),'
                ~ ' cast(coalesce(sum(hash(all_columns)), 0) as varchar)'
                ~ ' from ' ~ adapter.quote(schema) ~ '.' ~ adapter.quote(name) ~ ' as all_columns'
            ) -%}
        {%- endfor -%}
        {%- do run_query(
            'insert into builds.build_tables select builds.build_number, held.*,'
            ~ " (select list(column_name || ' ' || data_type order by column_index) from duckdb_columns()"
            ~ ' where database_name = ' ~ quoted(target.database)
            ~ ' and (schema_name, table_name) = (held.table_schema, held.table_name))'
            ~ ' from (' ~ held | join(' union all ')
            ~ ') as held(table_schema, table_name, row_count, checksum), builds.builds where '
            ~ this_build()
        ) -%}
    {%- endif -%}
    {%- do run_query('update builds.builds set ended_at = now() where ' ~ this_build()) -%}
{%- endmacro %}

{% macro this_build() -%}
    dbt_invocation_id = '{{ invocation_id }}'
{%- endmacro %}

{% macro quoted(text) -%}
    {{- dbt.string_literal(dbt.escape_single_quotes(text)) -}}
{%- endmacro %}

{# The ids of all loads, as an array, and when the latest was complete. #}
{% macro build_loads() -%}
    {%- set loads = [] -%}
    {%- for (schema,) in run_query(
        'select schema_name from duckdb_tables() where database_name = ' ~ quoted(target.database)
        ~ " and table_name = '_dlt_loads' order by all"
    ).rows -%}
        {%- do loads.append(
            'select load_id, inserted_at from ' ~ adapter.quote(schema) ~ '._dlt_loads'
        ) -%}
    {%- endfor -%}
    {{- return(
        loads | join(' union all ')
        or 'select cast(null as varchar) as load_id, cast(null as timestamptz) as inserted_at where false'
    ) -}}
{%- endmacro %}

{# Refuses a clock that was set back: before a build, and before each snapshot, for it may be set back
   within a build. What a snapshot once wrote is history that no later build mends. #}
{% macro refuse_an_earlier_clock() -%}
    {%- if execute -%}
        {%- do adapter.dispatch('refuse_an_earlier_clock', 'tally')() -%}
    {%- endif -%}
{%- endmacro %}

{% macro default__refuse_an_earlier_clock() -%}
{%- endmacro %}

{% macro duckdb__refuse_an_earlier_clock() -%}
    {%- set fault = clock_fault(*run_query(
        "select strftime(now() at time zone 'UTC', '%Y-%m-%d %H:%M:%S'),"
        ~ " strftime((select max(coalesce(ended_at, began_at)) at time zone 'UTC' from builds.builds), '%Y-%m-%d %H:%M:%S'),"
        ~ " strftime((select max(inserted_at) at time zone 'UTC' from (" ~ build_loads()
        ~ ")), '%Y-%m-%d %H:%M:%S')"
    ).rows[0]) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error(fault) }}
    {%- endif -%}
{%- endmacro %}

{# What is wrong with the clock, or nothing: it says what it said before, or later. Versions of
   products and households would begin after they end. #}
{% macro clock_fault(now, latest_build, latest_load) -%}
    {%- set at, what = [(latest_build or '', 'build'), (latest_load or '', 'load')] | sort | last -%}
    {%- if now < at -%}
        {{- return(
            "clock: expected a time after that of the latest " ~ what ~ ", " ~ at ~ " UTC, found "
            ~ now ~ " UTC; set this machine's clock right and build again"
            ~ ", or, where the clock was wrong then, wait until that time is past"
        ) -}}
    {%- endif -%}
{%- endmacro %}
