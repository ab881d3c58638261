-- The slices of an additive measure add up to the whole, exactly: a join lost or multiplied rows
-- where they do not. Money, lines and redemptions add up over every slice; baskets over what a
-- basket has one of; households over their own attributes.
{{ config(group='kpis') }}

with measures as (

    select * from {{ ref('int_kpis__measures_unpivoted') }}

),

wholes as (

    select *
    from measures
    where slice = 'all'

),

summed as (

    select
        measure_id,
        grain,
        period_start_date,
        slice,
        sum(measure_value) as measure_value
    from measures
    where
        slice <> 'all'
        and (
            measure_id like '%_usd'
            or measure_id like '%line_count'
            or measure_id in ('coupon_redemption_count', 'running_target_count', 'redeeming_target_count')
            or (measure_id = 'basket_count' and slice in ('store', 'household_income_band'))
            or (measure_id like '%household_count' and slice = 'household_income_band')
        )
    group by
        measure_id,
        grain,
        period_start_date,
        slice

)

select
    summed.measure_id,
    summed.grain,
    summed.period_start_date,
    summed.slice,
    summed.measure_value as sum_of_slices,
    wholes.measure_value as whole
from summed
left join wholes
    on
        summed.measure_id = wholes.measure_id
        and summed.grain = wholes.grain
        and summed.period_start_date = wholes.period_start_date
where summed.measure_value is distinct from wholes.measure_value
