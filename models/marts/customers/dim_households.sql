-- Grain: one row a household, and one unknown household.
with households as (

    select * from {{ ref('int_customers__households_identified') }}

),

age_bands as (

    select * from {{ ref('age_bands') }}

),

income_bands as (

    select * from {{ ref('income_bands') }}

),

known as (

    select
        household_id,
        source_system,
        coalesce(age_band, 'Unknown') as age_band,
        coalesce(income_band, 'Unknown') as income_band,
        coalesce(home_ownership, 'Unknown') as home_ownership,
        coalesce(marital_status, 'Unknown') as marital_status,
        coalesce(household_size, 'Unknown') as household_size,
        coalesce(household_composition, 'Unknown') as household_composition,
        coalesce(kids_count, 'Unknown') as kids_count,
        has_purchased,
        is_targeted,
        has_answered_survey,
        false as is_unknown
    from households

),

unknown as (

    select
        {{ unknown_key() }} as household_id,
        'Unknown' as source_system,
        'Unknown' as age_band,
        'Unknown' as income_band,
        'Unknown' as home_ownership,
        'Unknown' as marital_status,
        'Unknown' as household_size,
        'Unknown' as household_composition,
        'Unknown' as kids_count,
        false as has_purchased,
        false as is_targeted,
        false as has_answered_survey,
        true as is_unknown

),

unioned as (

    select * from known
    union all
    select * from unknown

),

final as (

    select
        unioned.household_id,
        unioned.source_system,
        unioned.age_band,
        age_bands.band_order as age_band_order,
        unioned.income_band,
        income_bands.band_order as income_band_order,
        unioned.home_ownership,
        unioned.marital_status,
        unioned.household_size,
        unioned.household_composition,
        unioned.kids_count,
        unioned.has_purchased,
        unioned.is_targeted,
        unioned.has_answered_survey,
        unioned.is_unknown
    from unioned
    left join age_bands
        on unioned.age_band = age_bands.age_band
    left join income_bands
        on unioned.income_band = income_bands.income_band

)

select * from final
