{# The versions of a snapshot whose system is built, each from when to when it held: any moment lies
   in one version of a key. What was before the first snapshot is not known: the first version stands
   for it, too. `is_present` is false for the version that records a deletion; its other columns are
   those of the version before. #}
{% macro dated_versions(snapshot, key) -%}
    select
        *,
        dbt_is_deleted = 'False' as is_present,
        case
            when lag(dbt_valid_from) over (partition by {{ key }} order by dbt_valid_from) is null
                then timestamp '1900-01-01'
            else dbt_valid_from
        end as valid_from,
        coalesce(dbt_valid_to, timestamp '9999-12-31') as valid_to,
        dbt_valid_to is null as is_current
    from {{ snapshot }}
    where {{ is_of_a_built_system() }}
{%- endmacro %}
