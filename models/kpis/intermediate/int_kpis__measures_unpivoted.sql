-- Grain: one row a (measure_id, grain, period_start_date, slice, slice_value).
{{ config(materialized='table') }}

with unpivoted as (

    {% for model, measured in kpi_measures().items() %}
        {% set last_model = loop.last %}
        {% for measure in measured.measures %}
            select
                '{{ measure }}' as measure_id,
                grain,
                period_start_date,
                slice,
                slice_value,
                cast({{ measure }} as decimal(28, 2)) as measure_value
            from {{ ref(model) }}
            {{ 'union all' if not (loop.last and last_model) }}
        {% endfor %}
    {% endfor %}

)

select * from unpivoted
