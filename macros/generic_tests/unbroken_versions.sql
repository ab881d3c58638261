{% test unbroken_versions(model, key) %}

with versions as (

    select
        {{ key }},
        valid_from,
        valid_to,
        is_current,
        lag(valid_to) over (partition by {{ key }} order by valid_from) as former_valid_to,
        max(valid_to) over (partition by {{ key }}) as last_valid_to,
        sum(case when is_current then 1 else 0 end) over (partition by {{ key }}) as current_count
    from {{ model }}

)

select *
from versions
where
    valid_from >= valid_to
    or valid_from <> coalesce(former_valid_to, timestamp '1900-01-01')
    or last_valid_to <> timestamp '9999-12-31'
    or current_count <> 1
    or is_current <> (valid_to = last_valid_to)

{% endtest %}
