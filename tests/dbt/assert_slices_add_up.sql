-- The slices of an additive measure add up to the whole, exactly. A row here is a measure and period
-- whose slices do not, or are not there: a join lost or multiplied rows. Money, lines and redemptions
-- add up over every slice; baskets over what a basket has one of; households over their own
-- attributes. A row without a period is a measure of which `additive_over` says nothing, or one that
-- is no measure of the macro kpi_measures: add it, or name it as it is named there.
{{ config(group='kpis') }}

{% set every_slice, of_households, none_at_all = ['*'], ['household_income_band'], [] %}
{% set additive_over = {
    'gross_sales_usd': every_slice,
    'net_sales_usd': every_slice,
    'retailer_discount_usd': every_slice,
    'line_count': every_slice,
    'loyalty_discount_line_count': every_slice,
    'private_label_net_sales_usd': every_slice,
    'promoted_net_sales_usd': every_slice,
    'basket_count': ['store', 'household_income_band'],
    'active_household_count': of_households,
    'new_household_count': of_households,
    'previous_active_household_count': of_households,
    'retained_household_count': of_households,
    'coupon_redemption_count': every_slice,
    'redeeming_household_count': none_at_all,
    'running_target_count': every_slice,
    'redeeming_target_count': every_slice,
} %}
{% set known, additive = [], [] %}
{% for measured in kpi_measures().values() %}
    {% for measure in measured.measures %}
        {% do known.append(measure) %}
        {% for grain, slices in measured.slices.items() %}
            {% for slice in slices if slice != 'all' %}
                {% if '*' in additive_over.get(measure, []) or slice in additive_over.get(measure, []) %}
                    {% do additive.append((measure, grain, slice)) %}
                {% endif %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
{% endfor %}
{% set unnamed = known | reject('in', additive_over) | list + additive_over | reject('in', known) | list %}

with measures as (

    select * from {{ ref('int_kpis__measures_unpivoted') }}

),

additive as (

    {% for measure, grain, slice in additive %}
        select
            '{{ measure }}' as measure_id,
            '{{ grain }}' as grain,
            '{{ slice }}' as slice
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- One row a period and each slice that the whole should have, with or without it.
wholes as (

    select
        measures.measure_id,
        measures.grain,
        measures.period_start_date,
        additive.slice,
        measures.measure_value
    from measures
    inner join additive
        on
            measures.measure_id = additive.measure_id
            and measures.grain = additive.grain
    where measures.slice = 'all'

),

summed as (

    select
        measures.measure_id,
        measures.grain,
        measures.period_start_date,
        measures.slice,
        sum(measures.measure_value) as measure_value
    from measures
    inner join additive
        on
            measures.measure_id = additive.measure_id
            and measures.grain = additive.grain
            and measures.slice = additive.slice
    group by
        measures.measure_id,
        measures.grain,
        measures.period_start_date,
        measures.slice

)

select
    coalesce(wholes.measure_id, summed.measure_id) as measure_id,
    coalesce(wholes.grain, summed.grain) as grain,
    coalesce(wholes.period_start_date, summed.period_start_date) as period_start_date,
    coalesce(wholes.slice, summed.slice) as slice,
    summed.measure_value as sum_of_slices,
    wholes.measure_value as whole,
    case
        when wholes.measure_id is null then 'there is no whole'
        when summed.measure_id is null then 'there are no slices'
        else 'slices do not add up to the whole'
    end as finding
from wholes
full outer join summed
    on
        wholes.measure_id = summed.measure_id
        and wholes.grain = summed.grain
        and wholes.period_start_date = summed.period_start_date
        and wholes.slice = summed.slice
where wholes.measure_value is distinct from summed.measure_value
{% for measure in unnamed %}
    union all
    select
        '{{ measure }}' as measure_id,
        cast(null as {{ dbt.type_string() }}) as grain,
        cast(null as date) as period_start_date,
        cast(null as {{ dbt.type_string() }}) as slice,
        cast(null as decimal(28, 2)) as sum_of_slices,
        cast(null as decimal(28, 2)) as whole,
        'is not both in kpi_measures and in additive_over' as finding
{% endfor %}
